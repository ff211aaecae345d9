r"""Write vocabularies/omop_concepts.csv: the concepts that the shipped studies use, each with where it was seen.

Run by hand after codes, units or conventions changed, from the root of the repository:
cd etl; SHARED=../../shared
python -m caseweave.terms.build_subset ../vocabularies/codes $SHARED/standards/omop_concepts_seen.csv \
    $SHARED/data/vocabulary
It prints how many concepts it wrote and which codes have none; unit tests check every row against the same material.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from caseweave.assets import data_path
from caseweave.spec.yamlfile import Map, Node, Seq, read_yaml, walk
from caseweave.terms.athena import Athena
from caseweave.terms.concept import Concept
from caseweave.terms.conventions import read_conventions
from caseweave.terms.subset import COLUMNS, CONCEPT_COLUMNS, SUBSET_FILE
from caseweave.terms.systems import displays, systems

TOPOGRAPHY = re.compile(r"C\d\d\.\d")
# with which sites the morphologies of the shipped studies may be joined: breast, liver, rectum, colon
SITES = re.compile(r"C50\.\d|C22\.0|C20\.9|C18\.\d")
NO_CONCEPT = 0
EXTRACT = "Athena-shaped extract of public sources"
BY_FORMULA = "code by the published formula of the Cancer Modifier vocabulary"
# conventions of which at most id and name were seen: name, domain, vocabulary, class
HAND = {
    1147165: ("observation.observation_id", "Metadata", "CDM", "Field"),
    1147070: ("visit_occurrence.visit_occurrence_id", "Metadata", "CDM", "Field"),
    756290: ("episode.episode_id", "Metadata", "CDM", "Field"),
    4171756: ("<", "Meas Value Operator", "SNOMED", "Qualifier Value"),
    4171754: ("<=", "Meas Value Operator", "SNOMED", "Qualifier Value"),
    4171755: (">=", "Meas Value Operator", "SNOMED", "Qualifier Value"),
    4172704: (">", "Meas Value Operator", "SNOMED", "Qualifier Value"),
    36768664: ("Dimension of Tumor", "Measurement", "Cancer Modifier", "Dimension"),
}
BY_HAND = "completed by hand for foreign keys (code, class, domain and standard flag not seen)"
# an answer that every form has, and that no row seen in full tells of
LISTED = Concept(4188540, "No", "Meas Value", "SNOMED", "Qualifier Value", "S", "373067005")
BY_LIST = "name, domain, vocabulary and class in public ETL notes; code by its name in SNOMED CT"


@dataclass
class Material:
    """What is known of concepts: the Athena-shaped extract, and the rows seen in public sources."""

    concepts: dict[int, Concept] = field(default_factory=dict)
    codes: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    to: dict[tuple[int, str], list[int]] = field(default_factory=dict)
    seen: dict[int, dict[str, str]] = field(default_factory=dict)

    def add(self, concept: Concept) -> None:
        """Keep a concept, unless its id is known."""
        if concept.concept_id not in self.concepts:
            self.concepts[concept.concept_id] = concept
            self.codes.setdefault((concept.vocabulary_id, concept.concept_code), []).append(concept.concept_id)

    def source(self, concept: Concept) -> str:
        """Where a concept was seen, and what of it wasn't."""
        row = self.seen.get(concept.concept_id)
        if concept.concept_code.startswith("hand-"):
            return f"{row['source'] if row else 'omop_conventions.csv'}; {BY_HAND}"
        if concept is LISTED:
            return f"{row['source'] if row else 'omop_concepts_seen.csv'} (id and name); {BY_LIST}"
        if row is None:
            return EXTRACT
        if row["row_kind"] == "full":
            return row["source"]
        return f"{row['source']} (id and name); {BY_FORMULA if 'AJCC' in concept.concept_code else EXTRACT}"


def material(seen_csv: Path, athena_folder: Path) -> Material:
    """Read both; the extract speaks first, a full row of the seen ones where it is silent."""
    found = Material()
    with Athena(athena_folder) as athena:
        for text, *rest in athena.rows("CONCEPT.csv"):
            found.add(Concept(int(text), *rest))
        for one, other, relationship, invalid in athena.rows("CONCEPT_RELATIONSHIP.csv"):
            if not invalid and one != other and relationship in ("Maps to", "Maps to value"):
                found.to.setdefault((int(one), relationship), []).append(int(other))
    with seen_csv.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if not row["concept_id"].isdigit():
                continue
            concept_id = int(row["concept_id"])
            found.seen[concept_id] = row
            if row["row_kind"] == "full" and row["concept_code"]:
                names = (
                    "concept_name",
                    "domain_id",
                    "vocabulary_id",
                    "concept_class_id",
                    "standard_concept",
                    "concept_code",
                )
                found.add(Concept(concept_id, *(row[name] for name in names)))
    found.add(LISTED)
    return found


def build(codes: Path, seen_csv: Path, athena_folder: Path, target: Path) -> tuple[int, list[str]]:
    """Write the subset; returns how many concepts it holds, and the codes for which there is none.

    Arguments: `codes`, the folder with the lists of codes; `seen_csv`, rows seen in public sources; `athena_folder`,
    an Athena download or what is shaped like one; `target`, the file to write. Raises CaseweaveError where an input is
    wrong: a developer's tool.
    """
    known = material(seen_csv, athena_folder)
    wanted = {NO_CONCEPT}
    missing: list[str] = []
    for system, code in wanted_codes(codes):
        ids = known.codes.get((system, code), [])
        wanted.update(ids)
        if not ids:
            missing.append(f"{system}|{code}")
    wanted.update(_joined(codes, known))
    for one in read_conventions():
        wanted.add(one.concept_id)
        if one.concept_id not in known.concepts:
            known.add(_by_hand(one.concept_id, one.name))
    _follow(wanted, known)
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(known.concepts[concept_id], known) for concept_id in sorted(wanted))
    return len(wanted), missing


def wanted_codes(codes: Path) -> Iterator[tuple[str, str]]:
    """(OMOP vocabulary, code) of everything that mappings may name: the lists of codes, and units."""
    vocabularies = {alias: one.omop for alias, one in systems().systems.items() if one.omop}
    named = {(vocabularies[alias], code) for alias, code in _listed(codes) if alias in vocabularies}
    yield from sorted(named | {("UCUM", unit) for unit in _units()})


def _listed(codes: Path) -> Iterable[tuple[str, str]]:
    return displays(() if codes.resolve() == (data_path("vocabularies") / "codes").resolve() else (codes,))


def _units() -> set[str]:
    """UCUM codes in mappings and value sets: `unit: mm`, `accept: {cm: 10}`, UCUM|mm."""
    found: set[str] = set()
    for folder in (data_path("mappings"), data_path("vocabularies")):
        for path in sorted(folder.rglob("*.yaml")):
            tree, _ = read_yaml(path, path.name)
            found.update(text[5:] for _, text in walk(tree) if isinstance(text, str) and text.startswith("UCUM|"))
            found.update(_unit_keys(tree))
    return found


def _unit_keys(node: Node) -> Iterator[str]:
    if isinstance(node, Map):
        if isinstance(node.get("unit"), str) and "$" not in node["unit"]:
            yield node["unit"]
            if isinstance(node.get("accept"), Map):
                yield from node["accept"]
        for value in node.values():
            yield from _unit_keys(value)
    elif isinstance(node, Seq):
        for value in node:
            yield from _unit_keys(value)


def _joined(codes: Path, known: Material) -> Iterator[int]:
    """The concepts of ICD-O-3 that join a morphology in use with a site, 8500/3-C50.9."""
    used = {code for alias, code in _listed(codes) if alias == "ICDO3"}
    for (vocabulary, code), ids in known.codes.items():
        morphology, dash, site = code.partition("-")
        allowed = SITES.fullmatch(site) or (TOPOGRAPHY.fullmatch(site) and site in used)
        if vocabulary == "ICDO3" and dash and allowed and morphology in used:
            yield from ids


def _by_hand(concept_id: int, name: str) -> Concept:
    """A convention that the material lacks or gives by id and name only: what foreign keys and people need."""
    known = HAND.get(concept_id, (name, "Metadata", "None", "Undefined"))
    return Concept(concept_id, *known, "S", f"hand-{concept_id}")


def _follow(wanted: set[int], known: Material) -> None:
    waiting = list(wanted)
    while waiting:
        concept_id = waiting.pop()
        for link in ("Maps to", "Maps to value"):
            for other in known.to.get((concept_id, link), ()):
                if other in known.concepts and other not in wanted:
                    wanted.add(other)
                    waiting.append(other)


def _row(concept: Concept, known: Material) -> list[str]:
    def joined(link: str) -> str:
        ids = known.to.get((concept.concept_id, link), ())
        return "|".join(str(one) for one in sorted(ids) if one in known.concepts)

    to = str(concept.concept_id) if concept.standard else joined("Maps to")
    return [
        *(str(getattr(concept, name)) for name in CONCEPT_COLUMNS),
        to,
        joined("Maps to value"),
        known.source(concept),
    ]


if __name__ == "__main__":
    arguments = [Path(one) for one in sys.argv[1:4]]
    count, without = build(arguments[0], arguments[1], arguments[2], data_path("vocabularies") / SUBSET_FILE)
    print(f"{count} concepts; {len(without)} codes have none: {' '.join(without)}")
