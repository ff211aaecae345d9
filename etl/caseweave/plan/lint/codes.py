"""Codes: known, well formed, used once, and meaning what their labels say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from caseweave.plan.lint.checkdigits import fault
from caseweave.plan.lint.finding import Knowledge, LintFinding
from caseweave.plan.lint.labels import closeness, contradiction, likeness, polarity, tidy, tnm_kind, words_against
from caseweave.spec.models import CodeLit, Field, FieldRef, Filler, LinkRef, Mapped, Statement
from caseweave.spec.valueset import Entry, ValueSet
from caseweave.values.types import Code, Coding

# below it a label and a display have nothing in common; from MEANT on one surely means the other
UNLIKE, MEANT = 0.2, 0.5
MORPHOLOGY = re.compile(r"\d{4}/\d")
NUMBERED = re.compile(r"_?\d+(?=_|$)")
# codes of a study's own, which nobody else could know
OWN_SYSTEMS = frozenset({"LOCAL"})
ANSWERS = frozenset({"yes", "no"})
LAB_RESULT = re.compile(r"\b(?:not )?detected\b")


def codes(known: Knowledge) -> Iterator[LintFinding]:
    """Check all codes of a study."""
    yield from systems(known)
    seen: set[Coding] = set()
    for coding, file, line in used(known):
        if coding not in seen:
            seen.add(coding)
            yield from one_code(known, coding, file, line)
    for valueset in known.study.valuesets.values():
        yield from value_set(known, valueset, headings(known, valueset))
    yield from questions(known)
    yield from twice(known)
    for statement in known.study.statements:
        yield from morphology(known, statement)


def systems(known: Knowledge) -> Iterator[LintFinding]:
    """A code system that everybody knows keeps its url."""
    for alias, own in known.study.systems.items():
        shipped = known.systems.systems.get(alias)
        for key, value in own.items():
            expected = getattr(shipped, key, "") if shipped else ""
            if expected and value and value != expected:
                yield LintFinding(
                    known.study.file,
                    known.study.line,
                    "system-url",
                    "error",
                    f"system {alias} has the {key} '{value}' here and '{expected}' everywhere else",
                    f"Leave {alias} out, or give your own system another alias.",
                )
    urls = {one.url.rstrip("/#"): alias for alias, one in known.systems.systems.items() if one.url}
    for alias, own in known.study.systems.items():
        other = urls.get(own.get("url", "").rstrip("/#"))
        if other is not None and other != alias:
            yield LintFinding(
                known.study.file,
                known.study.line,
                "system-twice",
                "warning",
                f"system {alias} has the url of {other}",
                f"Use {other}.",
            )


def used(known: Knowledge) -> Iterator[tuple[Coding, str, int]]:
    """Every code that a study uses, with its place."""
    for valueset in known.study.valuesets.values():
        for entry in valueset.values.values():
            for coding in entry.codings:
                yield coding, valueset.file, entry.line
    for statement in known.study.statements:
        for name, filler in statement.slots.items():
            for coding in codings_of(filler):
                yield coding, statement.file, statement.lines.get(name, statement.line)


def codings_of(filler: Filler) -> Sequence[Coding]:
    """The codes that a filler names itself."""
    if isinstance(filler, CodeLit):
        return filler.codings
    if isinstance(filler, Mapped):
        values = [*filler.map.values(), filler.default]
        return [coding for value in values if isinstance(value, Code) for coding in value.codings]
    return ()


def one_code(known: Knowledge, coding: Coding, file: str, line: int) -> Iterator[LintFinding]:
    """A code is well formed, known, and not withdrawn."""
    wrong = fault(coding.system, coding.code)
    if wrong:
        yield LintFinding(file, line, "bad-code", "error", f"{coding}: {wrong}", "Look the code up and type it again.")
        return
    if coding.system in OWN_SYSTEMS:
        return
    if coding.system == "OMOP":
        if coding.code not in known.conventions:
            yield LintFinding(
                file,
                line,
                "unknown-code",
                "error",
                f"{coding} is no convention of omop_conventions.csv",
                "Add it there with its concept id and its source.",
            )
        return
    if not known.display(coding.system, coding.code):
        yield LintFinding(
            file,
            line,
            "unknown-code",
            "error",
            f"nobody here knows what {coding} means",
            "Look it up, and list it with its display and source: a study's own in its codes.csv, shared ones in "
            "vocabularies/codes; or prove the study with an Athena download that has it, --vocabulary FOLDER.",
        )
    vocabulary = known.system(coding.system).omop
    if vocabulary and known.terms.resolve(vocabulary, coding.code).status == "invalid":
        yield LintFinding(
            file,
            line,
            "invalid-code",
            "error",
            f"{coding} was withdrawn and maps to nothing",
            "Take the code that replaces it.",
        )


def headings(known: Knowledge, valueset: ValueSet) -> list[str]:
    """What stands above a value set: its title, and the fields that use it."""
    fields = [one for sheet in known.study.sheets for one in sheet.fields.values() if one.values == valueset.name]
    return [valueset.title.get("en", ""), *(f"{one.name} {one.label.get('en', '')}" for one in fields)]


def value_set(known: Knowledge, valueset: ValueSet, above: Sequence[str]) -> Iterator[LintFinding]:
    """The codes of a value set mean what its labels say, and tell its values apart."""
    heading = next((text for text in above if tnm_kind(text)), " ".join(above[:2]))
    labels = {key: label_of(entry) for key, entry in valueset.values.items()}
    for entry in valueset.values.values():
        for coding in entry.codings:
            display = known.display(coding.system, coding.code)
            if display and coding.system != "UCUM":
                yield from _says(valueset, entry, coding, display, labels, heading)
    by_code: dict[tuple[Coding, ...], list[Entry]] = defaultdict(list)
    for entry in valueset.values.values():
        if entry.codings:
            by_code[entry.codings].append(entry)
    for codings, entries in by_code.items():
        if len(entries) > 1:
            keys = ", ".join(f"'{entry.key}' ({label_of(entry)})" for entry in entries)
            yield LintFinding(
                valueset.file,
                entries[1].line,
                "one-code-two-values",
                "warning",
                f"{codings[0]} stands for {keys} of value set '{valueset.name}', which can't be told apart",
                "Give each its own code, or make one an alias of the other.",
            )


def label_of(entry: Entry) -> str:
    """What a value is called in English, else in any language, else its key."""
    return entry.label.get("en") or next(iter(entry.label.values()), entry.key)


def _says(
    valueset: ValueSet, entry: Entry, coding: Coding, display: str, labels: Mapping[str, str], heading: str
) -> Iterator[LintFinding]:
    label = labels[entry.key]
    against = contradiction(label, display, heading)
    shown = f"value '{entry.key}' ({label}) has {coding}, which means '{display}'"
    meant = next(
        (key for key, other in labels.items() if key != entry.key and closeness(other, display) >= MEANT), None
    )
    hint = f"It is the code of '{meant}' ({labels[meant]})." if meant else "Look the code up."
    if against is not None:
        yield LintFinding(valueset.file, entry.line, "code-against-label", "error", f"{shown}: {against}", hint)
    elif tidy(label) in ANSWERS and LAB_RESULT.search(tidy(display)) and polarity(display):
        yield LintFinding(
            valueset.file,
            entry.line,
            "answer-as-result",
            "warning",
            f"{shown}: the answer to a question isn't the result of a test",
            "Use Yes or No.",
        )
    elif likeness(label, display) < UNLIKE:
        if meant:
            yield LintFinding(valueset.file, entry.line, "code-of-another-value", "warning", shown, hint)
        else:
            yield LintFinding(
                valueset.file, entry.line, "code-unlike-label", "message", shown, "Check that both mean the same."
            )


def questions(known: Knowledge) -> Iterator[LintFinding]:
    """The code of a field's statement means what the field's label says."""
    asked = [
        (statement, field, coding)
        for statement in known.study.statements
        for field in [own_field(known, statement)]
        if field is not None and field.label
        for coding in codings_of(statement.slots.get("code", FieldRef("")))
    ]
    for statement, field, coding in asked:
        display = known.display(coding.system, coding.code)
        if not display:
            continue
        line = statement.lines.get("code", statement.line)
        label = field.label.get("en") or next(iter(field.label.values()))
        shown = f"field '{field.name}' ({label}) has {coding}, which means '{display}'"
        against = words_against(label, display) or _category(f"{field.name} {label}", display)
        if against is not None and not _one_of(against):
            yield LintFinding(
                statement.file, line, "code-against-label", "error", f"{shown}: {against}", "Look the code up."
            )
        elif likeness(label, display) < UNLIKE and tnm_kind(f"{field.name} {label}") is None:
            other = next(
                (
                    one
                    for _, one, _ in asked
                    if one.base != field.base and closeness(one.label.get("en", ""), display) >= MEANT
                ),
                None,
            )
            if other is not None:
                yield LintFinding(
                    statement.file,
                    line,
                    "code-of-another-field",
                    "warning",
                    shown,
                    f"It is the code of '{other.name}' ({other.label.get('en', '')}).",
                )


def _one_of(against: str) -> bool:
    """Words that a question may well have and its code not: a nature or an origin is no contradiction there."""
    return against.split()[0] in ("nature", "origin", "histologic", "histology", "invasion", "height")


def _category(heading: str, display: str) -> str | None:
    """The TNM category that a field is about against the one that its code names."""
    mine, theirs = tnm_kind(heading), tnm_kind(display)
    if mine is None or theirs is None or mine == theirs:
        return None
    # SNOMED CT has one code for pT and ypT; which of the two it is, the value says
    if mine[1] == theirs[1] and {mine[0], theirs[0]} == {"yp", "p"}:
        return None
    return f"{mine[0]}{mine[1].upper()} against {theirs[0]}{theirs[1].upper()}"


def own_field(known: Knowledge, statement: Statement) -> Field | None:
    """The field that a statement is about: the one with `means`, else the one that fills `value`."""
    sheet = known.study.sheet(statement.sheet)
    if statement.meant_by:
        return sheet.fields[statement.meant_by]
    value = statement.slots.get("value")
    return sheet.fields.get(value.field) if isinstance(value, FieldRef) and not value.sheet else None


def twice(known: Knowledge) -> Iterator[LintFinding]:
    """One code, two variables: two fields whose statements differ in nothing but the field can't be told apart."""
    groups: dict[object, list[Statement]] = defaultdict(list)
    for statement in known.study.statements:
        signature = _signature(statement)
        if signature is not None:
            groups[signature].append(statement)
    for statements in groups.values():
        first = statements[0]
        for other in statements[1:]:
            if NUMBERED.sub("", other.name) != NUMBERED.sub("", first.name) and not _apart(known, first, other):
                code = codings_of(first.slots["code"])[0]
                yield LintFinding(
                    other.file,
                    other.lines.get("code", other.line),
                    "one-code-two-variables",
                    "error",
                    f"'{other.name}' and '{first.name}' (line {first.line}) both are {code} "
                    f"({known.display(code.system, code.code)}); the data can't tell them apart",
                    "Give each its own code, or tell them apart by date, site, method or specimen.",
                )


def _signature(statement: Statement) -> object | None:
    """All that tells a statement's facts from others', its value left out; None for a statement without a code."""
    if not codings_of(statement.slots.get("code", FieldRef(""))):
        return None
    told = []
    for name, filler in sorted(statement.slots.items()):
        if isinstance(filler, CodeLit):
            told.append((name, str(filler.codings)))
        elif (
            isinstance(filler, LinkRef)
            or (isinstance(filler, FieldRef) and name != "value")
            or (not isinstance(filler, FieldRef) and name != "value")
        ):
            told.append((name, str(filler)))
    return (statement.sheet, statement.pattern.name, statement.repeat_index, tuple(told))


def _apart(known: Knowledge, one: Statement, other: Statement) -> bool:
    """Conditions tell statements apart, and so do values that have no code in common (pT and ypT)."""
    if one.when != other.when and one.when is not None and other.when is not None:
        return True
    values = (one.slots.get("value"), other.slots.get("value"))
    if values[0] == values[1]:
        return True
    sets = [field.valueset for field in (own_field(known, one), own_field(known, other)) if field and field.valueset]
    if len(sets) < 2:
        return not all(isinstance(value, FieldRef | Mapped) for value in values)
    mine, theirs = ({coding for entry in one.values.values() for coding in entry.codings} for one in sets)
    return bool(mine and theirs) and mine.isdisjoint(theirs)


def morphology(known: Knowledge, statement: Statement) -> Iterator[LintFinding]:
    """A histology is no diagnosis: ICD-O-3 morphologies stand in `morphology`, never as the code of a Condition."""
    if not any(one.tree.get("resourceType") == "Condition" for one in statement.pattern.fhir):
        return
    filler = statement.slots.get("code")
    found = list(codings_of(filler)) if filler is not None else []
    if isinstance(filler, FieldRef):
        field = known.study.sheet(filler.sheet or statement.sheet).fields[filler.field]
        found = (
            [coding for entry in field.valueset.values.values() for coding in entry.codings] if field.valueset else []
        )
    wrong = next((one for one in found if one.system == "ICDO3" and MORPHOLOGY.match(one.code)), None)
    if wrong is not None and (isinstance(filler, FieldRef) or found[0] == wrong):
        yield LintFinding(
            statement.file,
            statement.lines.get("code", statement.line),
            "morphology-as-diagnosis",
            "error",
            f"'{statement.name}' makes a Condition of the morphology {wrong}",
            "Fill slot `morphology` of the primary cancer with it.",
        )
