"""A small Athena download, made by hand, with everything that resolving has to cope with; the codes are invented."""

from __future__ import annotations

import zipfile
from pathlib import Path

CONCEPT = "concept_id concept_name domain_id vocabulary_id concept_class_id standard_concept concept_code"
RELATIONSHIP = "concept_id_1 concept_id_2 relationship_id valid_start_date valid_end_date invalid_reason"
VOCABULARY = "vocabulary_id vocabulary_name vocabulary_reference vocabulary_version vocabulary_concept_id"
DATES = ("19700101", "20991231")

CONCEPTS = [
    (1, "Breast cancer", "Condition", "SNOMED", "Disorder", "S", "B1", ""),
    (2, "Carcinoma of breast", "Condition", "ICD10CM", "5-char billing code", "", "C50", ""),
    # an allergy to penicillin: Maps to "Allergy to drug", Maps to value "penicillin"
    (3, "Allergy to penicillin", "Observation", "ICD10CM", "5-char billing code", "", "Z88.0", ""),
    (4, "Allergy to drug", "Observation", "SNOMED", "Clinical Finding", "S", "A1", ""),
    (5, "penicillin G", "Drug", "RxNorm", "Ingredient", "S", "R1", ""),
    # withdrawn, replaced twice over
    (6, "Old name", "Condition", "SNOMED", "Disorder", "", "OLD", "U"),
    (7, "Less old name", "Condition", "SNOMED", "Disorder", "", "OLDER", "U"),
    # two that point at each other
    (8, "Hen", "Condition", "SNOMED", "Disorder", "", "HEN", ""),
    (9, "Egg", "Condition", "SNOMED", "Disorder", "", "EGG", ""),
    (10, "Withdrawn", "Condition", "SNOMED", "Disorder", "", "GONE", "D"),
    (11, "Valid, maps to nothing", "Condition", "SNOMED", "Disorder", "", "NONE", ""),
    (12, "Group of drugs", "Drug", "ATC", "ATC 5th", "C", "L01", ""),
    # one code, two concepts: the standard one counts
    (14, "Twice, withdrawn", "Measurement", "LOINC", "Lab Test", "", "T-1", "D"),
    (15, "Twice", "Measurement", "LOINC", "Lab Test", "S", "T-1", ""),
    # one code, two standard targets of two domains
    (16, "Cancer of breast with hormone receptor", "Condition", "ICD10CM", "5-char billing code", "", "TWO", ""),
    (17, "Estrogen receptor in Tissue", "Measurement", "LOINC", "Lab Test", "S", "ER-1", ""),
    (18, 'A "quoted" name, with comma', "Observation", "LOINC", "Survey", "S", "Q-1", ""),
    (19, "Standard once, now invalid", "Condition", "SNOMED", "Disorder", "S", "EX", "D"),
]
RELATIONSHIPS = [
    (1, 1, "Maps to", ""),
    (2, 1, "Maps to", ""),
    (3, 4, "Maps to", ""),
    (3, 5, "Maps to value", ""),
    (6, 7, "Maps to", ""),
    (7, 1, "Maps to", ""),
    (8, 9, "Maps to", ""),
    (9, 8, "Maps to", ""),
    (10, 1, "Maps to", "D"),
    (16, 17, "Maps to", ""),
    (16, 1, "Maps to", ""),
    (11, 1, "Is a", ""),
    (2, 999, "Maps to", ""),
]
VOCABULARIES = [
    ("None", "OMOP Standardized Vocabularies", "", "v5.0 27-FEB-26", 44819096),
    ("SNOMED", "SNOMED", "", "2026", 44819097),
]


def texts() -> dict[str, str]:
    """The files of the download, by name."""
    concept = f"{CONCEPT} valid_start_date valid_end_date invalid_reason"
    return {
        "CONCEPT.csv": _table(concept, [(*row[:7], *DATES, row[7]) for row in CONCEPTS]),
        "CONCEPT_RELATIONSHIP.csv": _table(RELATIONSHIP, [(*row[:3], *DATES, row[3]) for row in RELATIONSHIPS]),
        "VOCABULARY.csv": _table(VOCABULARY, VOCABULARIES),
        "DRUG_STRENGTH.csv": "not\tread\n",
    }


def _table(header: str, rows: list[tuple[object, ...]]) -> str:
    lines = [header.split(), *rows]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)


def write_folder(folder: Path, **changed: str) -> Path:
    """Write the download as a folder; `changed` replaces a file by its stem, "" leaves it out."""
    folder.mkdir(exist_ok=True)
    for name, text in texts().items():
        text = changed.get(name[:-4], text)
        if text:
            (folder / name).write_bytes(text.encode())
    return folder


def write_zip(path: Path, inside: str = "") -> Path:
    """Write the download as a zip, everything in the folder `inside`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in texts().items():
            out.writestr(inside + name, text)
    return path
