"""How a study is written: mappings/STUDY/study.yaml."""

from __future__ import annotations

import datetime
from typing import Any

from caseweave.spec.blocks import Block, Key
from caseweave.spec.fieldfile import DATES, MISSING_CODES, NUMBERS
from caseweave.spec.models import Anchor, MissingRules, Site
from caseweave.spec.readers import Choice, Flag, Labels, ListOf, MapOf, Word, Written
from caseweave.spec.words import At

FHIR_DEFAULTS = {"release": "R4", "profiles": "mcode-4", "identifier_system": "", "code_system": ""}
OMOP_DEFAULTS = {"cdm": "5.4", "oncology": False, "imaging": True, "type_concept": ""}
STUDY_NAME = r"[a-z0-9][a-z0-9._-]*"


def _anchor(found: dict[str, Any], at: At) -> Anchor:
    try:
        return Anchor(datetime.date.fromisoformat(found["date"]), found["age"])
    except ValueError:
        raise at.error(f"'{found['date']}' is no day", "Write the anchor's date as YYYY-MM-DD.") from None


SYSTEM = Block(
    "code system",
    "A code system by its alias.",
    (
        Key(
            "url",
            Word(),
            "its url in FHIR; without one its codes never reach FHIR",
            "http://loinc.org",
            default="",
        ),
        Key(
            "omop",
            Word(),
            "its vocabulary in OMOP; without one its codes never reach OMOP",
            "LOINC",
            default="",
        ),
    ),
    lambda found, at: found,
    shorthand=Word("a url"),
)
ANCHOR = Block(
    "anchor",
    "What stands for day 0 in a study without calendar dates.",
    (
        Key(
            "date",
            Word("a date, YYYY-MM-DD"),
            "the date that OMOP gets for it, and that says of itself that it is synthetic",
            "2000-01-01",
            required=True,
        ),
        Key(
            "age",
            Word("the name of a field"),
            "the field that holds the age on that day, in years",
            "onsetage",
            default="",
        ),
    ),
    _anchor,
)
STUDY = Block(
    "study",
    "A case report form: mappings/STUDY/study.yaml.",
    (
        Key(
            "study",
            Word("a name of small letters, digits, - and _", STUDY_NAME),
            "its name",
            "breast",
            required=True,
        ),
        Key("version", Written(), "its version; ids don't depend on it", "1.0.0", default="0"),
        Key(
            "title",
            Labels(),
            "what people call it, per language",
            "{en: Breast cancer, es: Cáncer de mama}",
            default={},
        ),
        Key(
            "project",
            Word(),
            "pseudonyms are made per project; the study's name if it isn't given",
            default="",
        ),
        Key(
            "site",
            Block(
                "site",
                "Where the site comes from.",
                (
                    Key(
                        "field",
                        Word("the name of a field"),
                        "the field that holds it",
                        "patient_id",
                        required=True,
                    ),
                    Key(
                        "matches",
                        Word("a regular expression with one group"),
                        "the group is the site",
                        "'([A-Z]{2})-'",
                        default="",
                    ),
                ),
                lambda found, at: Site(found["field"], found["matches"]),
            ),
            "where the site comes from, if not from --site",
        ),
        Key(
            "subject",
            Choice(("keyed", "given")),
            "pseudonyms are made of the ids (keyed), or the ids are pseudonyms already (given)",
            default="keyed",
        ),
        Key(
            "source",
            Choice(("snapshot", "increment")),
            "a source replaces what earlier ones said of its patients, or adds to it",
            default="snapshot",
        ),
        Key("dates", DATES, "how dates are written"),
        Key("numbers", NUMBERS, "how numbers are written"),
        Key(
            "missing",
            Block(
                "set of missing codes",
                "Which codes say that a value is missing.",
                (
                    Key(
                        "codes",
                        MISSING_CODES,
                        "the codes, each with a reason of FHIR's data-absent-reason",
                        '{NA: not-applicable, "-9": unknown}',
                        default={},
                    ),
                    Key("emit", Flag(), "whether FHIR gets a dataAbsentReason for them", default=False),
                ),
                lambda found, at: MissingRules(found["codes"], found["emit"]),
            ),
            "codes that say that a value is missing",
            default=MissingRules(),
        ),
        Key(
            "systems",
            MapOf(SYSTEM, keys="alias"),
            "code systems beside those of vocabularies/systems.yaml",
            '{LOCAL: {url: "https://example.org/codes"}}',
            default={},
        ),
        Key(
            "timepoints",
            ListOf(Written()),
            "the timepoints of the study, in their order",
            "[Diagnosis, Treatment]",
            default=(),
        ),
        Key("anchor", ANCHOR, "for a study without calendar dates"),
        Key(
            "sheets",
            ListOf(Word("the key of a sheet", STUDY_NAME), least=1),
            "its sheets, each a file of that name",
            "[demographics, diagnosis]",
            required=True,
        ),
        Key(
            "ignore_sheets",
            MapOf(Word("the reason, as a text")),
            "tabs that hold no data, each with the reason",
            '{Dictionary: "explains the columns"}',
            default={},
        ),
        Key(
            "fhir",
            Block(
                "set of FHIR settings",
                "What FHIR gets.",
                (
                    Key("release", Choice(("R4",)), "the release of FHIR", default="R4"),
                    Key(
                        "profiles",
                        Choice(("mcode-4", "none")),
                        "the profiles that are claimed where they hold",
                        default="mcode-4",
                    ),
                    Key("identifier_system", Word("a url"), "the system of the pseudonyms", default=""),
                    Key("code_system", Word("a url"), "the system of the study's own local codes", default=""),
                ),
                lambda found, at: found,
            ),
            "what FHIR gets",
            "{release: R4, profiles: mcode-4}",
            default=FHIR_DEFAULTS,
        ),
        Key(
            "omop",
            Block(
                "set of OMOP settings",
                "What OMOP gets.",
                (
                    Key(
                        "cdm",
                        Choice(("5.3", "5.4")),
                        "the version of the CDM",
                        '"5.4"',
                        default="5.4",
                    ),
                    Key("oncology", Flag(), "whether a CDM 5.3 has the oncology extension", default=False),
                    Key("imaging", Flag(), "whether the CDM has the imaging extension", default=True),
                    Key(
                        "type_concept",
                        Word(),
                        "the type concept of the rows",
                        "Type Concept|OMOP4976882",
                        default="",
                    ),
                ),
                lambda found, at: found,
            ),
            "what OMOP gets",
            '{cdm: "5.4"}',
            default=OMOP_DEFAULTS,
        ),
    ),
    lambda found, at: (found, at),
)
