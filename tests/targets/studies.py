"""All shipped studies with their real input, each converted once; what goes out is judged, whatever study made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson

import caseweave
from caseweave.api import Result
from caseweave.quality.rules import rules_of
from caseweave.run.convert import Conversion
from caseweave.spec.loader import load_study
from caseweave.targets.template import write_template

EUCANIMAGE = {
    "eucanimage-uc1": "UC1_Hepatocellular_Carcinoma",
    "eucanimage-uc3": "UC3_Colorectal_Liver_metastasis",
    "eucanimage-uc4-5": "UC4_5_Rectal_Cancer",
    "eucanimage-uc6-8": "UC6_8_Breast_Cancer_MMG",
    "eucanimage-uc7": "UC7_Breast_Cancer_MRI",
}
TCIA = {
    "hcc-tace": "HCC-TACE-Seg_clinical_data-V2.xlsx",
    "ispy1": "ISPY1_All_Patient_Clinical_and_Outcome_Data.xlsx",
}
STUDIES = ("breast", *EUCANIMAGE, *TCIA)
# of the large ones a normal run takes some patients; `make torture` takes all
SAMPLED_PATIENTS = 30


def source_of(study: str, shared: Path, folder: Path) -> Path:
    """The input of a study: the published forms, and of ours the template filled with its example patients."""
    if study == "breast":
        spec = load_study(study)
        path = folder / "breast.xlsx"
        write_template(spec, path, example=True, rules=rules_of(spec))
        return path
    if study in TCIA:
        return shared / "data" / "tcia" / TCIA[study]
    (path,) = (shared / "data" / "eucanimage" / EUCANIMAGE[study] / "CSV").glob("*.csv")
    return path


@dataclass(frozen=True)
class Converted:
    """A study, its source, and what came of it."""

    study: str
    source: Path
    result: Result

    @property
    def conversion(self) -> Conversion:
        """What the library made, inside."""
        return self.result._conversion

    @cached_property
    def lines(self) -> Mapping[str, list[bytes]]:
        """All resources as JSON lines, by type."""
        return {kind: self.result.fhir.lines(kind) for kind in self.result.fhir}

    @cached_property
    def resources(self) -> list[dict[str, Any]]:
        """All resources."""
        return [orjson.loads(line) for lines in self.lines.values() for line in lines]

    @cached_property
    def sampled(self) -> Mapping[str, list[bytes]]:
        """The lines of the first patients, and of them all where they are few."""
        chosen = set(sorted(str(orjson.loads(line)["id"]) for line in self.lines["Patient"])[:SAMPLED_PATIENTS])
        return {
            kind: [line for line in lines if patient_of(orjson.loads(line)) in chosen]
            for kind, lines in self.lines.items()
        }

    def sample(self) -> list[dict[str, Any]]:
        """The resources of the first patients."""
        return [orjson.loads(line) for lines in self.sampled.values() for line in lines]


def patient_of(resource: Mapping[str, Any]) -> str:
    """The id of the patient whom a resource is about."""
    if resource["resourceType"] == "Patient":
        return str(resource["id"])
    about = next(resource[name] for name in ("subject", "patient", "individual") if name in resource)
    return str(about["reference"]).removeprefix("Patient/")


Convert = Callable[[str], Converted]


def convert(study: str, shared: Path, folder: Path) -> Converted:
    """Convert a study's source, with the test vocabulary."""
    source = source_of(study, shared, folder)
    result = caseweave.load_study(study).convert(
        source, key_file=folder / f"{study}.key", vocabulary=shared / "data" / "vocabulary"
    )
    return Converted(study, source, result)
