"""From files to a study: read, repeats written out, names looked up, checked as far as the spec can."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from caseweave.spec.check import check_study
from caseweave.spec.documents import check_paths
from caseweave.spec.faults import Faults
from caseweave.spec.fieldfile import build_field, check_field_name
from caseweave.spec.folders import STUDY_FILE, Folders, folders
from caseweave.spec.models import Field, Repeat, Sheet, Statement, Study
from caseweave.spec.pattern import Pattern
from caseweave.spec.patternfile import read_pattern
from caseweave.spec.repeats import repeats_of, substitute
from caseweave.spec.resolve import Names, resolve
from caseweave.spec.sheetfile import FIELD, SHEET, STATEMENT, Draft, examples_of
from caseweave.spec.studyfile import STUDY
from caseweave.spec.valueset import ValueSet, read_valueset
from caseweave.spec.words import At, names_here
from caseweave.spec.yamlfile import Map, canonical, read_text, read_yaml, walk
from caseweave.values.dates import DateRules
from caseweave.values.numbers import NumberRules

SYSTEMS_FILE, CODES_FILE = "systems.yaml", "codes.csv"
SYSTEMS_LABEL = f"vocabularies/{SYSTEMS_FILE}"


@dataclass(frozen=True, slots=True)
class _Written:
    """A statement as declared: under which name, its node, and the field that means it."""

    name: str
    expanded: str
    index: str
    draft: Draft
    own: str


@dataclass
class _SheetFile:
    """A sheet's file while its study is being put together."""

    key: str
    file: str
    line: int
    found: Mapping[str, Any]
    fields: dict[str, Field] = field(default_factory=dict)
    written: list[_Written] = field(default_factory=list)
    bases: dict[str, Repeat] = field(default_factory=dict)


@dataclass
class _Loader:
    places: Folders
    folder: Path
    files: dict[str, str] = field(default_factory=dict)
    patterns: dict[str, Pattern] = field(default_factory=dict)
    valuesets: dict[str, ValueSet] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)

    def used(self, label: str, content: str) -> None:
        self.files[label] = hashlib.sha256(content.encode()).hexdigest()

    def read(self, name: str) -> tuple[Map, str]:
        label = f"{self.folder.name}/{name}"
        tree, _ = read_yaml(self.folder / name, label)
        self.used(label, canonical(tree))
        return tree, label

    def load(self) -> Study:
        tree, label = self.read(STUDY_FILE)
        at = At(label, tree.line or 1)
        found, _ = STUDY.read(tree, At(label, 1), self.faults)
        sheets = self.sheets(found["sheets"] or (), str(found["study"]), At(label, tree.at("sheets")))
        systems = {alias: {"url": one} if isinstance(one, str) else one for alias, one in found["systems"].items()}
        aliases = self.system_aliases() | frozenset(systems)
        joined = _joined(sheets)
        known = Names({one.key: one.fields for one in sheets}, joined, aliases, found["anchor"] is not None)
        for one in sheets:
            for each in one.written:
                with self.faults:
                    self.pattern(each.draft.pattern, At(one.file, each.draft.line))
                    known.add(one.key, each.name, each.expanded, each.index, each.draft.pattern)
                    continue
                self.faults.told.update((each.name, each.expanded))
        built = tuple(self.finish(one, known) for one in sheets)
        self.faults.tell()
        study = Study(
            name=found["study"],
            version=found["version"],
            file=label,
            line=at.line,
            folder=str(self.folder),
            title=found["title"],
            project=found["project"] or found["study"],
            site=found["site"],
            subject=found["subject"],
            source=found["source"],
            dates=found["dates"] or DateRules(),
            numbers=found["numbers"] or NumberRules(),
            missing=found["missing"],
            systems=systems,
            timepoints=found["timepoints"],
            anchor=found["anchor"],
            ignore_sheets=found["ignore_sheets"],
            fhir=found["fhir"],
            omop=found["omop"],
            sheets=built,
            patterns=self.patterns,
            valuesets=self.valuesets,
        )
        check_study(study, {key: tree.at(key) for key in tree})
        files = tuple(sorted(self.files.items()))
        digest = hashlib.sha256("".join(f"{label}\0{content}\n" for label, content in files).encode()).hexdigest()
        return replace(study, files=files, digest=digest)

    def system_aliases(self) -> frozenset[str]:
        trees = [read_yaml(self.places.vocabularies / SYSTEMS_FILE, SYSTEMS_LABEL)[0]]
        if (self.folder / SYSTEMS_FILE).is_file():
            trees.append(self.read(SYSTEMS_FILE)[0])
        if (self.folder / CODES_FILE).is_file():  # only what its codes mean, but that is part of the study
            label = f"{self.folder.name}/{CODES_FILE}"
            self.used(label, read_text(self.folder / CODES_FILE, label))
        found = [tree.get("systems") for tree in trees]
        # OMOP's conventions stand by name in a table of their own
        return frozenset(alias for one in found if isinstance(one, Map) for alias in one) | {"OMOP"}

    def sheets(self, keys: Sequence[str], study: str, at: At) -> list[_SheetFile]:
        """The sheets' files. Where one can't be read at all, nobody knows which names would be right: that is told."""
        made: list[_SheetFile] = []
        for place, key in enumerate(keys):
            with self.faults:
                if key in keys[:place]:
                    at.fail(f"sheet '{key}' stands here twice", "Keep one.")
                made.append(self.sheet(key, study, at))
        if len(made) < len(keys) or not keys:
            self.faults.tell()
        return made

    def sheet(self, key: str, study: str, at: At) -> _SheetFile:
        if not (self.folder / f"{key}.yaml").is_file():
            there = sorted(path.stem for path in self.folder.glob("*.yaml") if path.name != STUDY_FILE)
            at.fail(f"sheet '{key}' has no file {self.folder.name}/{key}.yaml", names_here(key, there))
        tree, label = self.read(f"{key}.yaml")
        found, here = SHEET.read(tree, At(label, 1), self.faults)
        sheet = _SheetFile(key, label, here.line, found)
        fields = found["fields"] or Map()
        for name, node in fields.items():
            here = At(label, fields.at(name))
            with self.faults:
                self.fields(sheet, name, node, here, study)
                continue
            with Faults():  # a repeat that can't be read has no other names
                self.faults.told.add(name)
                self.faults.told.update(one for one, *_ in repeats_of(name, node, here))
        self.statements(sheet, tree.get("statements"))
        return sheet

    def fields(self, sheet: _SheetFile, base: str, node: Any, at: At, study: str) -> None:
        for name, one, repeat, index in repeats_of(base, node, at):
            check_field_name(name, at)
            if name in sheet.fields:
                at.fail(
                    f"field '{name}' stands here twice",
                    f"'{sheet.fields[name].base}' makes it too; rename one.",
                )
            found, here = FIELD.read(one, at)
            made = build_field(name, base, found, here, repeat, index)
            if made.values:
                place = At(here.file, one.at("values"))
                made = replace(made, valueset=self.valueset(made.values, study, place))
            sheet.fields[name] = made
            if repeat is not None:
                sheet.bases[base] = repeat
            if found["means"] is not None:
                draft = replace(found["means"], line=one.at("means"))
                sheet.written.append(_Written(base, name, index, draft, name))

    def statements(self, sheet: _SheetFile, tree: Any) -> None:
        for name, node in tree.items() if isinstance(tree, Map) else ():
            at = At(sheet.file, tree.at(name))
            with self.faults:
                self.statement(sheet, name, node, at)
                continue
            self.faults.told.add(name)

    def statement(self, sheet: _SheetFile, name: str, node: Any, at: At) -> None:
        if (name in sheet.fields and sheet.fields[name].means) or any(one.name == name for one in sheet.written):
            at.fail(f"statement '{name}' is called like a field that means something", "Rename the statement.")
        many = list(_repeated(sheet, node, at, self.faults.told))
        if not many:
            self.faults.told.add(name)
        for one, index in many:
            sheet.written.append(_Written(name, name, index, STATEMENT.read(one, at), ""))

    def valueset(self, name: str, study: str, at: At) -> ValueSet:
        if name not in self.valuesets:
            place = self.places.valueset(name, study, self.folder, at)
            self.valuesets[name], content = read_valueset(name, place.path, place.label)
            self.used(place.label, content)
        return self.valuesets[name]

    def pattern(self, name: str, at: At) -> Pattern:
        if name not in self.patterns:
            place = self.places.pattern(name, self.folder, at)
            self.patterns[name], content = read_pattern(name, place.path, place.label)
            self.used(place.label, content)
        return self.patterns[name]

    def finish(self, sheet: _SheetFile, known: Names) -> Sheet:
        found = sheet.found
        statements: list[Statement] = []
        for one in sheet.written:
            pattern = self.patterns.get(one.draft.pattern)
            if pattern is None:
                continue  # told already
            with self.faults:
                statements.append(
                    resolve(
                        one.draft,
                        pattern,
                        sheet.key,
                        one.name,
                        one.index,
                        one.own,
                        sheet.file,
                        known,
                        found["key"],
                    )
                )
        for each in sheet.fields.values():
            if not isinstance(each.required, bool):
                with self.faults:
                    known.expression(sheet.key, each.required, At(each.file, each.line))
        with self.faults:
            check_paths(found["json"], sheet.fields.values())
        return Sheet(
            key=sheet.key,
            name=found["sheet"],
            file=sheet.file,
            line=sheet.line,
            aliases=found["aliases"],
            title=found["title"],
            header_rows=found["header"]["rows"],
            grain=found["grain"],
            row_key=found["key"],
            join=found["join"],
            json=found["json"],
            end=found["end"],
            fields=sheet.fields,
            statements=tuple(statements),
            examples=examples_of(sheet.key, found["examples"], self.faults),
            subject_field=next((one.name for one in sheet.fields.values() if one.role == "subject"), ""),
        )


def _joined(sheets: Sequence[_SheetFile]) -> dict[str, tuple[str, ...]]:
    """Which sheets' rows are merged with a sheet's, whichever of the two says so."""
    pairs = [(one.key, one.found["join"].sheet) for one in sheets if one.found["join"] is not None]
    known = [one.key for one in sheets]
    for one, (_, other) in zip([one for one in sheets if one.found["join"] is not None], pairs, strict=True):
        if other not in known or other == one.key:
            raise At(one.file, one.line).unknown("sheet to join", other, [key for key in known if key != one.key])
    return {
        key: tuple(dict.fromkeys([b for a, b in pairs if a == key] + [a for a, b in pairs if b == key]))
        for key in known
    }


def _repeated(sheet: _SheetFile, node: Any, at: At, told: Iterable[str]) -> Iterator[tuple[Any, str]]:
    """A statement as declared, once for each repeat: (node, index); none for a field that is `told` to be faulty."""
    variable = node.get("for") if isinstance(node, Map) else None
    if not isinstance(variable, str):
        yield node, ""
        return
    texts = [str(text) for _, text in walk(node) if isinstance(text, str) and f"${variable}" in text]
    used = {
        base: repeat
        for base, repeat in sheet.bases.items()
        if repeat.variable == variable and any(base in text for text in texts)
    }
    if not used and any(name in text for name in told for text in texts):
        return
    if not used:
        repeating = [base for base, repeat in sheet.bases.items() if repeat.variable == variable]
        at.fail(
            f"'for: {variable}' and no slot names a repeated field with ${variable}",
            f"Repeated by {variable} are: {', '.join(repeating) or 'no fields'}.",
        )
    indices = {repeat.indices for repeat in used.values()}
    if len(indices) > 1:
        at.fail(f"the fields {', '.join(used)} repeat differently often", "Give them one range.")
    for index in next(iter(indices)):
        yield substitute(node, variable, index), index


def load_study(name_or_path: str | Path, *, studies: Sequence[Path | str] = ()) -> Study:
    """Load a study, complete and checked, repeats written out.

    >>> load_study("breast").name
    'breast'

    Arguments: its name, or the path of its folder; `studies`, a user's own folders of studies, asked before
    those that Caseweave ships. Raises UsageError where there is no such study, MappingError with file and
    line for what is wrong.
    """
    places = folders(studies)
    return _Loader(places, places.study(name_or_path)).load()


def list_studies(*, studies: Sequence[Path | str] = ()) -> dict[str, Path]:
    """The folder of every study by its name.

    >>> isinstance(list_studies(), dict)
    True

    Arguments: `studies`, a user's own folders. Raises UsageError where one isn't a folder.
    """
    return folders(studies).studies()


def load_pattern(name: str, study_folder: Path | None = None, *, studies: Sequence[Path | str] = ()) -> Pattern:
    """Load a pattern.

    >>> load_pattern("tumor-marker").required
    ('code', 'value')

    Arguments: `study_folder` is asked first. Raises MappingError where it is wrong or there is none.
    """
    place = folders(studies).pattern(name, study_folder, At("patterns", 1))
    return read_pattern(name, place.path, place.label)[0]


def load_valueset(name: str, study_folder: Path | None = None, *, studies: Sequence[Path | str] = ()) -> ValueSet:
    """Load a value set.

    Arguments: `study_folder`, whose own value sets are asked first. Raises MappingError where it is wrong or
    there is none.
    """
    study = study_folder.name if study_folder is not None else ""
    place = folders(studies).valueset(name, study, study_folder, At("vocabularies", 1))
    return read_valueset(name, place.path, place.label)[0]
