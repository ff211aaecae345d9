"""Every pattern against its golden cases: the resources and rows that a fact must become (patterns/README.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML
from tests.services.validator import Validate

from caseweave.identity.factids import letters
from caseweave.plan.conditions import computed
from caseweave.plan.facts import FactBatch, Facts, Link, SlotColumn
from caseweave.plan.slots import translate
from caseweave.shapes.fhir import fhir_shapes
from caseweave.shapes.omop import omop_shapes
from caseweave.spec.loader import load_pattern
from caseweave.spec.pattern import Pattern
from caseweave.targets.fhir.fragments import Coder
from caseweave.targets.fhir.render import FhirRenderer, FhirSettings
from caseweave.targets.omop.columns import Column, Constant, Lookup, Person
from caseweave.targets.omop.concepts import Concepts
from caseweave.targets.omop.fill import OmopSettings
from caseweave.targets.omop.rows import OmopBuilder
from caseweave.terms import Terms, conventions, displays, systems
from caseweave.terms.presence import presence
from caseweave.terms.store import build_index, open_index
from caseweave.terms.systems import System
from caseweave.values.types import Boolean, Code, Coding, Integer, Missing, PartialDate, Quantity, Text, Value

FOLDER = Path(__file__).parent / "patterns"
PATTERNS = sorted(one.parent.name for one in FOLDER.glob("*/case.yaml"))
DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
CODE = re.compile(r"[A-Za-z0-9]+\|\S+")
SETTINGS: Mapping[str, object] = {"fhir.set": {}, "omop.set": {}, "without": frozenset(), "because": ""}
# field concept -> what an event id points to is told by the case itself, so only these columns are never named there
UNNAMED = re.compile(r"person_id|.*_type_concept_id|.*_source_value|.*_source_concept_id")


def cases(pattern: str) -> list[dict[str, Any]]:
    reader = YAML(typ="safe", pure=True)
    # YAML 1.2 has no timestamps: a date is a text until a slot says more
    reader.constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
    found: list[dict[str, Any]] = reader.load((FOLDER / pattern / "case.yaml").read_text("utf-8"))["cases"]
    return found


def value_of(written: Any) -> Value:
    """A slot of a case as a value."""
    match written:
        case bool():
            return Boolean(written)
        case int():
            return Integer(written)
        case list():
            return Code(tuple(_coding(one) for one in written))
        case {"number": number, "unit": unit}:
            return Quantity(str(number), str(unit), written.get("comparator"))
        case {"missing": reason}:
            return Missing(reason)
        case {"text": text}:
            return Text(text)
        case {"code": code}:
            codings = tuple(_coding(one) for one in (code if isinstance(code, list) else [code]))
            return Code(codings, written.get("local", ""), written.get("label", ""))
    if DATE.fullmatch(written):
        return PartialDate(written)
    return Code((_coding(written),)) if CODE.fullmatch(written) else Text(written)


def _coding(written: str) -> Coding:
    system, _, code = written.partition("|")
    return Coding(system, code)


def one(value: Value | None) -> SlotColumn:
    """A slot of a batch that has a single fact."""
    return SlotColumn(np.array([value is not None], dtype=np.int32), [None, value] if value else [None])


def batch(pattern: Pattern, slots: Mapping[str, Any], name: str, links: Mapping[str, Link]) -> FactBatch:
    """One fact of a pattern; its id is a placeholder."""
    filled = {slot: one(value_of(written)) for slot, written in slots.items()}
    for slot, let in pattern.lets.items():
        if let.expression is not None:
            filled[slot] = computed(let.expression, filled, 1, presence())
        else:
            source = filled.get(let.source, one(None))
            filled[slot] = one(translate(let, source.values[source.codes[0]], presence()))
    filled["local"] = one(Code((Coding("LOCAL", "$local_code"),)))
    nothing = np.zeros(1, dtype=np.int32)
    return FactBatch(name, "sheet", pattern, id_of(name), nothing, nothing, filled, links, SETTINGS)


def id_of(name: str) -> NDArray[np.uint8]:
    """A raw fact id that stands for a placeholder."""
    return np.frombuffer(name.encode().ljust(20), dtype=np.uint8).reshape(1, 20)


def facts_of(pattern: str, case: Mapping[str, Any]) -> tuple[Facts, dict[int, str], int]:
    """The fact of a case behind the facts that it links to; what each batch is called; the number of its own."""
    known = load_pattern(pattern)
    batches: list[FactBatch] = []
    names: dict[int, str] = {}
    links: dict[str, Link] = {}
    if pattern != "patient":
        batches.append(batch(load_pattern("patient"), {"birth": "1960"}, "$subject", {}))
    own = {slot: written for slot, written in case["slots"].items() if not known.slots[slot].facts}
    for slot in (slot for slot in case["slots"] if slot not in own):
        other = load_pattern(case["slots"][slot])
        first = cases(other.name)[0]["slots"]
        plain = {name: written for name, written in first.items() if not other.slots[name].facts}
        links[slot] = Link(len(batches), np.zeros(1, dtype=np.int32))
        names[len(batches)] = f"${slot}"
        batches.append(batch(other, plain, f"${slot}", {}))
    number = len(batches)
    names[number] = "$id"
    batches.append(batch(known, own, "$id", links))
    subject = "$subject" if pattern != "patient" else "$id"
    return Facts(["$pseudonym"], id_of(subject), batches), names, number


def without_displays(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: without_displays(value) for key, value in tree.items() if key != "display"}
    return [without_displays(value) for value in tree] if isinstance(tree, list) else tree


def as_texts(tree: Any) -> Any:
    """Texts that YAML reads as numbers stay out of the comparison's way."""
    return json.loads(json.dumps(tree))


PARAMETERS = [(pattern, number) for pattern in PATTERNS for number, _ in enumerate(cases(pattern))]
IDS = [f"{pattern}: {cases(pattern)[number]['name']}" for pattern, number in PARAMETERS]


def rendered(pattern: str, case: Mapping[str, Any], shown: Mapping[tuple[str, str], str]) -> list[Any]:
    """The resources of a case, with the displays that are given."""
    facts, _, own = facts_of(pattern, case)
    known = systems()
    settings = FhirSettings(
        shapes=fhir_shapes(),
        coder=Coder({**known.systems, "LOCAL": System("LOCAL", "$local_system")}, shown),
        presence=presence(),
        profiles=known.profiles,
        extensions=known.extensions,
        identifier_system="$identifier_system",
        emit_missing=bool(case.get("emit_missing")),
    )
    text = b"\n".join(line for _, _, some in FhirRenderer(facts, settings).resources(own) for line in some)
    for made in facts:
        text = text.replace(letters(made.ids)[0], made.statement.encode())
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(("pattern", "number"), PARAMETERS, ids=IDS)
def test_a_fact_becomes_the_golden_resources(pattern: str, number: int) -> None:
    case = cases(pattern)[number]
    assert [without_displays(one) for one in rendered(pattern, case, {})] == as_texts(case["fhir"])


def test_all_of_them_are_valid_by_what_they_claim(fhir_validator: Validate) -> None:
    shown = {code: one.text for code, one in displays().items()}
    found = [one for pattern in PATTERNS for case in cases(pattern) for one in rendered(pattern, case, shown)]
    text = json.dumps(found)
    for placeholder in ("$identifier_system", "$local_system"):
        text = text.replace(placeholder, "urn:example:" + placeholder[1:])
    text = text.replace("$", "")
    issues = fhir_validator(json.loads(text))
    assert [issue for issue in issues if issue.severity in ("error", "fatal")] == []


@pytest.fixture(scope="module")
def terms(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Terms:
    return open_index(build_index(shared / "data" / "vocabulary", tmp_path_factory.mktemp("terms")))


@pytest.mark.parametrize(("pattern", "number"), PARAMETERS, ids=IDS)
def test_a_fact_becomes_the_golden_rows(pattern: str, number: int, terms: Terms) -> None:
    case = cases(pattern)[number]
    facts, names, own = facts_of(pattern, case)
    shapes = omop_shapes("5.4", imaging=True)
    concepts = Concepts(terms, systems().systems, conventions())
    builder = OmopBuilder(facts, OmopSettings(shapes, concepts, presence(), None))
    found = []
    for built in builder.batch(own):
        name = facts.batches[own].pattern.omop[built.rendering].name
        row = {column: cell(value, facts, names, builder) for column, value in built.columns.items()}
        row.pop(built.table.id_column or "", None) if built.table.name != "person" else row.pop("person_id", None)
        found.append(
            {
                "table": built.table.name,
                **({"rendering": name} if name else {}),
                **{key: value for key, value in row.items() if value is not None},
            }
        )
    wanted = as_texts(case["omop"])
    for row, golden in zip(found, wanted, strict=False):
        for column in [column for column in row if UNNAMED.fullmatch(column) and column not in golden]:
            del row[column]
    assert found == wanted


def cell(column: Column, facts: Facts, names: Mapping[int, str], builder: OmopBuilder) -> object:
    """A column of the only fact; a reference by its placeholder."""
    match column:
        case Constant(value):
            return value
        case Lookup():
            return column.values[column.codes[0]]
        case Person():
            return "$subject"
    if column.index[0] < 0 or column.renderings[0] < 0:
        return None
    target = facts.batches[column.batch].pattern.omop[int(column.renderings[0])]
    if column.field_concept:
        rendering = int(column.renderings[0])
        table = next(one.table.name for one in builder.batch(column.batch) if one.rendering == rendering)
        return {
            "condition_occurrence": 1147127,
            "procedure_occurrence": 1147082,
            "drug_exposure": 1147094,
            "measurement": 1147138,
            "observation": 1147165,
        }[table]
    return f"{names.get(column.batch, '$subject')}{'.' + target.name if target.name else ''}"


def test_every_pattern_has_golden_cases() -> None:
    assert sorted(_shipped()) == PATTERNS


def _shipped() -> Iterator[str]:
    for path in (FOLDER.parents[2] / "mappings" / "patterns").glob("*.yaml"):
        yield path.stem
