"""A draft as the files of a study: study.yaml, a file per sheet, value sets, rules.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from caseweave.importers.conditions import NotExpressible, translate
from caseweave.importers.draft import Choices, Draft, Form, Item, file_key
from caseweave.importers.yamltext import Number, comment, flow, scalar
from caseweave.spec.expression import Expression
from caseweave.spec.syntax import Binary

SEXES = ("sex", "gender", "sex_at_birth", "patient_sex")
BIRTHS = ("birth_date", "birthdate", "date_of_birth", "dob", "birth")
GENDERS = {"male": "male", "m": "male", "man": "male", "female": "female", "f": "female", "woman": "female"}
MAX_LABEL = 500


@dataclass
class Written:
    """The files of a study by their path in its folder; `checks` and `rules` are how many there are."""

    files: dict[str, str] = field(default_factory=dict)
    fields: int = 0
    conditions: int = 0
    checks: int = 0
    rules: int = 0
    mended: list[str] = field(default_factory=list)


def write(draft: Draft, name: str, *, mend: bool = False) -> Written:
    """Make the files of a study from a draft; what can't be taken over is noted in the draft.

    >>> item = Item("id", "id", "row 2", subject=True)
    >>> sorted(write(Draft("Trial", "a test", [Form("trial", "Trial", "Trial", [item])]), "trial").files)
    ['study.yaml', 'trial.yaml']

    Arguments: `name` of the study; `mend` lets a check that asks of every row take the condition that the dictionary
    gives.
    """
    return _Writer(draft, name, mend).write()


@dataclass
class _Writer:
    draft: Draft
    name: str
    mend: bool
    found: Written = field(default_factory=Written)
    valuesets: dict[Choices, str] = field(default_factory=dict)
    required: dict[tuple[str, str], Expression | None] = field(default_factory=dict)

    def write(self) -> Written:
        draft = self.draft
        head = comment(f"Drafted from {draft.source}. What could not be taken over stands in import-report.md.")
        lines = [head, f"study: {self.name}", "version: 0.1.0", f"title: {{en: {scalar(draft.title)}}}"]
        lines.append(f"sheets: {flow([form.key for form in draft.forms])}")
        self.found.files["study.yaml"] = _text(lines)
        homes = _homes(draft)
        for form in draft.forms:
            self.found.files[f"{form.key}.yaml"] = self.sheet(form, patient=form in homes)
        for choices, name in self.valuesets.items():
            self.found.files[f"valuesets/{name}.yaml"] = self.valueset(name, choices)
        rules = self.rules()
        if rules:
            self.found.files["rules.yaml"] = _text([head, f"study: {self.name}", *rules])
        return self.found

    def sheet(self, form: Form, *, patient: bool) -> str:
        taken = {one.name.casefold() for one in form.items} | {one.casefold() for one in form.beside}
        lines = [f"sheet: {scalar(form.name)}", f"title: {{en: {scalar(form.title)}}}"]
        lines.append(f"grain: {'many rows per patient' if form.many else 'one row per patient'}")
        lines.append("fields:")
        sex, birth = _sex(form) if patient else None, _birth(form) if patient else None
        section = ""
        for item in form.items:
            if item.section and item.section != section:
                section = item.section
                lines.append("  " + comment(section))
            means = item not in (sex, birth)
            lines.append(f"  {item.name}: {flow(self.field(form, item, taken, means=means))}")
            self.found.fields += 1
        for column, reason in form.beside.items():
            if form.item(column) is None:
                lines.append(f"  {column}: {flow({'ignore': reason})}")
        if patient:
            slots: dict[str, object] = {"pattern": "patient"}
            if sex is not None:
                codes = {
                    code: f"GENDER|{GENDERS[label.casefold()]}"
                    for code, label in sex.choices
                    if label.casefold() in GENDERS
                }
                slots["sex"] = {"field": sex.name, "map": codes, "default": "GENDER|unknown"}
            if birth is not None:
                slots["birth"] = birth.name
            lines += ["statements:", f"  patient: {flow(slots)}"]
            if sex is None or birth is None:
                lacking = " and ".join(filter(None, ("" if sex else "sex", "" if birth else "birth")))
                self.draft.note(
                    form.title, f"no field was recognised as the patient's {lacking}: fill it in statement 'patient'."
                )
        return _text(lines)

    def field(self, form: Form, item: Item, taken: set[str], *, means: bool) -> dict[str, object]:
        found: dict[str, object] = {}
        if item.column:
            found["column"] = item.column
        if item.ignore:
            return {**found, "ignore": item.ignore}
        found["type"] = item.kind
        if item.subject:
            found["role"] = "subject"
        if item.choices:
            found["values"] = self.valueset_of(form, item)
        required = self.required_of(form, item)
        if required is not None:
            found["required"] = required
        if item.low or item.high:
            found["range"] = {
                "warn" if item.soft else "error": [Number(one) if one else None for one in (item.low, item.high)]
            }
        label = item.label[:MAX_LABEL]
        # a label is a header too: one that is another field's name would claim its column
        if label and (label.casefold() not in taken or label.casefold() == item.name.casefold()):
            found["label"] = {"en": label}
        if item.help:
            found["help"] = {"en": item.help}
        if means and not item.subject:
            found["means"] = {"pattern": "answer"}
        return found

    def required_of(self, form: Form, item: Item) -> bool | str | None:
        """What `required:` says; None where nothing is."""
        if item.required:
            return True
        if item.box[0]:
            return None
        parts: list[Expression] = []
        for text in item.required_when:
            made = self.condition(form, text, item.place, f"when '{item.name}' is required")
            if made is not None and str(made) not in map(str, parts):
                parts.append(made)
        if not parts:
            self.required[form.key, item.name] = None
            return None
        whole = parts[0]
        for part in parts[1:]:
            whole = Binary("or", whole, part)
        self.required[form.key, item.name] = whole
        return str(whole)

    def condition(self, form: Form, text: str, place: str, what: str) -> Expression | None:
        """A condition of the source, translated; noted and None where that can't be."""
        try:
            made = translate(text, {one.name: one for one in form.items})
        except NotExpressible as problem:
            self.draft.note(place, f"{what}: {text} was not taken over: {problem}.")
            return None
        self.found.conditions += 1
        return made

    def valueset_of(self, form: Form, item: Item) -> str:
        if item.choices not in self.valuesets:
            base = file_key((item.box[0] and "checked") or item.name)
            names = (base, f"{base}-{form.key}", *(f"{base}-{form.key}-{n}" for n in range(2, 1000)))
            self.valuesets[item.choices] = next(one for one in names if one not in self.valuesets.values())
        return self.valuesets[item.choices]

    def valueset(self, name: str, choices: Choices) -> str:
        lines = [f"valueset: {scalar(name)}", f"source: {scalar(self.draft.source)}", "values:"]
        lines += [f"  {scalar(code)}: {{label: {{en: {scalar(label)}}}}}" for code, label in choices]
        return _text(lines)

    def rules(self) -> list[str]:
        """The checks that the source names; else a rule for each question that is shown under a condition only."""
        checks = [line for one in self.draft.checks if (line := self.check(one.form, one))]
        if checks:
            for form, item in self.draft.items():
                if item.shown_when:
                    self.condition(form, item.shown_when, item.place, f"'{item.name}' is shown only if")
            self.found.checks = len(checks)
            return ["checks:", *checks]
        shown = [line for form, item in self.draft.items() if item.shown_when and not item.ignore and not item.subject
                 and (line := self.shown(form, item))]  # fmt: skip
        self.found.rules = len(shown)
        return ["rules:", *shown] if shown else []

    def check(self, key: str, one: Mapping[str, str] | object) -> str:
        from caseweave.importers.draft import Asked

        assert isinstance(one, Asked)
        form = next(form for form in self.draft.forms if form.key == key)
        found: dict[str, object] = {"id": one.id, "sheet": one.form, "field": one.field, "kind": one.kind}
        if one.when:
            when = self.condition(form, one.when, one.place, f"rule '{one.id}'")
            if when is None:
                return ""
            found["when"] = str(when)
        elif one.kind.endswith("_req"):
            given = self.required.get((form.key, one.field))
            if given is not None:
                what = f"rule '{one.id}' asks for {one.field} in every row, the dictionary only where {given}"
                self.found.mended.append(one.id)
                self.draft.note(one.place, f"{what}; {'its condition was taken' if self.mend else 'see --mend'}.")
                if self.mend:
                    found["when"] = str(given)
        return f"  - {flow(found)}"

    def shown(self, form: Form, item: Item) -> str:
        made = self.condition(form, item.shown_when, item.place, f"'{item.name}' is shown only if")
        if made is None:
            return ""
        found = {
            "id": f"{item.name}-shown",
            "sheet": form.key,
            "when": f'{item.name} = "1"' if item.box[0] else f"{item.name} is present",
            "expr": str(made),
            "severity": "warning",
            "mark": item.name,
            "message": {"en": "It is filled, and the form shows it only under a condition that doesn't hold."},
        }
        return f"  - {flow(found)}"


def _homes(draft: Draft) -> list[Form]:
    """The forms that tell of their patients: those that know sex or birth, else the first."""
    found = [one for one in draft.forms if _sex(one) is not None or _birth(one) is not None]
    return [one for one in found if not one.many] or found[:1] or draft.forms[:1]


def _sex(form: Form) -> Item | None:
    for item in form.items:
        labels = {label.casefold() for _, label in item.choices}
        if item.name.casefold() in SEXES and not item.ignore and len(labels & set(GENDERS)) >= 2:
            return item
    return None


def _birth(form: Form) -> Item | None:
    found = (one for one in form.items if one.name.casefold() in BIRTHS and one.kind == "date" and not one.ignore)
    return next(found, None)


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
