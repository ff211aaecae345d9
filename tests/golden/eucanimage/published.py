"""The bundles that EuCanImage published, their codebooks and records, as statements that can be compared with ours."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

# the bundles leave NCIt under the address of a staging server; that is one of the differences
SYSTEMS = {
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LNC",
    "http://ncithesaurus-stage.nci.nih.gov": "NCIT-STAGE",
    "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl": "NCIT",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RXN",
    "http://terminology.hl7.org/CodeSystem/icd-o-3": "ICDO3",
    "http://terminology.hl7.org/CodeSystem/condition-ver-status": "VER",
    "http://terminology.hl7.org/CodeSystem/condition-clinical": "CONDCLIN",
}
NOT_RECORDED = "SCT|1220561009"

_LIVER = "hep_b hep_c ald autoimm_hep nafld psc others chronic_hep cirrhosis child_pugh"
_LESIONS = "bca biloma cca dn fhcc fhs hemangioma abscess adenoma pha hhcyst hcc cirrhosis phl shcyst thad"
_DRUGS = "chemo_drug chemo_drug_2 chemo_drug_3 chemo_drug_4 chemo_drug_5"
_BIOPSY = "tnm_ct tnm_cn tnm_cm grade dcis er pr her2ihc ki67 her2fish"
_BIOPSY_2 = " ".join(f"{name}_2" for name in _BIOPSY.split())
_GENES = "brca1 brca2 palb2 chek2"


@dataclass(frozen=True)
class UseCase:
    """One use case: its folder, our study, and the variable behind each entry of its bundles (after the Patient)."""

    study: str
    folder: str
    variables: tuple[str, ...]


USE_CASES = (
    UseCase(
        "eucanimage-uc1",
        "UC1_Hepatocellular_Carcinoma",
        tuple(f"sex onsetage indeterm_nodule {_LIVER}".split()),
    ),
    UseCase(
        "eucanimage-uc3",
        "UC3_Colorectal_Liver_metastasis",
        tuple(f"sex onsetage histopat comorb_present {_LESIONS} tnm_pt tnm_ct tnm_pn tnm_cn tnm_pm tnm_cm".split()),
    ),
    UseCase(
        "eucanimage-uc4-5",
        "UC4_5_Rectal_Cancer",
        tuple(
            "sex onsetage histopat histopat_2 histopat_3 tnm_ct tnm_ypt tnm_ypn tnm_ypm grade lymp_inv perineural_inv"
            f" emvi n_lymphnodes n_met_ln tumor_deposits trg radiotherapy surgery chemo {_DRUGS} neoadj_surgery".split()
        ),
    ),
    UseCase(
        "eucanimage-uc6-8",
        "UC6_8_Breast_Cancer_MMG",
        tuple(
            "sex patientclass menop n_preg lactation symptoms screening famhisto_b famhisto_o bcstproxy bcst_pam50"
            f" histopat histopat_2 histopat_3 {_BIOPSY} bcstproxy_2 bcst_pam50_2 histopat_1_2 histopat_2_2 histopat_3_2"
            f" {_BIOPSY_2} hcontrac hormtherapy {_GENES}".split()
        ),
    ),
    UseCase(
        "eucanimage-uc7",
        "UC7_Breast_Cancer_MRI",
        tuple(
            "sex onsetage bcstproxy bcst_pam50 histopat histopat_2 histopat_3 dfs os menop n_preg lactation famhisto_b"
            " famhisto_o hormtherapy tnm_ct tnm_cn grade n_lymphnodes er pr her2ihc ki67 her2fish tnm_ypt tnm_ypn"
            " tnm_ypm grade_ap lymp_inv ln_pos trg rcb er_ap pr_ap her2ihc_ap ki67_ap her2fish_ap"
            f" {_DRUGS} hcontrac {_GENES}".split()
        ),
    ),
)


@dataclass(frozen=True)
class Statement:
    """What a resource says: `codes` say the same thing, `parts` are all that it says of it."""

    record: str
    variable: str
    type: str
    codes: tuple[str, ...]
    parts: frozenset[str]

    @property
    def code(self) -> str:
        return self.codes[0] if self.codes else ""

    @property
    def value(self) -> str:
        return "; ".join(sorted(self.parts))

    def __str__(self) -> str:
        return f"{self.record} {self.variable}: {self.type} {self.code} = {self.value}"


def codes_of(concept: dict[str, Any] | None) -> tuple[str, ...]:
    """The codings of a CodeableConcept as SYSTEM|code; its text where it has none."""
    codings = tuple(
        f"{SYSTEMS.get(one['system'], one['system'])}|{one['code']}" for one in (concept or {}).get("coding", ())
    )
    return codings or ((str(concept["text"]),) if concept and "text" in concept else ())


def quantity_of(quantity: dict[str, Any]) -> str:
    """A quantity as number and UCUM code, whatever the digits look like."""
    return f"{Decimal(str(quantity['value'])).normalize():f} {quantity.get('code', '1')}"


def value_of(resource: dict[str, Any]) -> tuple[str, ...]:
    """The value of an Observation: the ways to say it, the main one first."""
    if "valueCodeableConcept" in resource:
        return codes_of(resource["valueCodeableConcept"])
    if "valueQuantity" in resource:
        return (quantity_of(resource["valueQuantity"]),)
    if "valueInteger" in resource:
        return (str(resource["valueInteger"]),)
    if "component" in resource:
        return ("components: " + resource["note"][0]["text"],)
    return ()


def parts_of(resource: dict[str, Any]) -> frozenset[str]:
    """All that a resource says of its code; what it only says to be not recorded is left out."""
    kind = resource["resourceType"]
    said: list[str] = []
    if kind == "Observation":
        said += value_of(resource)[:1]
    elif kind == "Condition":
        for name in ("verificationStatus", "clinicalStatus"):
            said += codes_of(resource.get(name))[:1]
        said += [f"site {code}" for site in resource.get("bodySite", ()) for code in codes_of(site)[:1]]
        said += [
            f"evidence {code}" for one in resource.get("evidence", ()) for c in one["code"] for code in codes_of(c)[:1]
        ]
        if "onsetAge" in resource:
            said.append(f"onset {quantity_of(resource['onsetAge'])}")
    elif kind == "Procedure":
        said.append(f"status {resource['status']}")
    else:
        said += _medication(resource)
    return frozenset(one for one in said if not one.endswith(NOT_RECORDED) or one == NOT_RECORDED)


def _medication(resource: dict[str, Any]) -> list[str]:
    said = [f"status {resource['status']}"]
    dosage = resource.get("dosage", {})
    for one in dosage if isinstance(dosage, list) else [dosage]:
        rates = [one, *one.get("doseAndRate", ())]
        said += [
            f"dose {quantity_of(rate[name])}" for rate in rates for name in ("dose", "doseQuantity") if name in rate
        ]
        if "rateQuantity" in one:
            said.append(f"cycles {one['rateQuantity']['value']}")
        if "rateRatio" in one:
            said.append(f"total dose {quantity_of(one['rateRatio']['numerator'])}")
            if one["rateRatio"]["denominator"]["code"] == "399042005":
                said.append(f"cycles {one['rateRatio']['denominator']['value']}")
        if "count" in one.get("timing", {}).get("repeat", {}):
            said.append(f"cycles {one['timing']['repeat']['count']}")
    period = resource.get("effectivePeriod", {})
    if period and period["start"] != period["end"]:
        said.append(f"period {period['start'][:10]} to {period['end'][:10]}")
    return said


def statement_of(resource: dict[str, Any], record: str, variable: str) -> Statement:
    """A resource as a statement."""
    code = resource.get("code") or resource.get("medicationCodeableConcept")
    return Statement(record, variable, resource["resourceType"], codes_of(code), parts_of(resource))


def record_of(bundle: dict[str, Any]) -> str:
    """The id of the record that a bundle is about."""
    return str(bundle["entry"][0]["resource"]["identifier"][0]["value"])


def published(case: UseCase, shared: Path) -> list[Statement]:
    """All statements of a use case's bundles, Patients left out."""
    found = []
    for path in sorted((shared / "data" / "eucanimage" / case.folder / "OUTPUT" / "test").glob("*.json")):
        bundle = json.loads(path.read_text(encoding="utf-8"))
        resources = [entry["resource"] for entry in bundle["entry"]][1:]
        assert len(resources) == len(case.variables), f"{path.name} holds {len(resources)} entries beside the Patient"
        found += [
            statement_of(resource, record_of(bundle), variable)
            for resource, variable in zip(resources, case.variables, strict=True)
        ]
    return found


def records_path(case: UseCase, shared: Path) -> Path:
    """The csv file of a use case."""
    (path,) = (shared / "data" / "eucanimage" / case.folder / "CSV").glob("*.csv")
    return path


def records(case: UseCase, shared: Path) -> dict[str, dict[str, str]]:
    """The cells of a use case by record."""
    with records_path(case, shared).open(encoding="utf-8-sig", newline="") as file:
        return {row["record_id"]: row for row in csv.DictReader(file)}


def codebook_path(case: UseCase, shared: Path) -> Path:
    """The codebook of a use case."""
    (path,) = (shared / "data" / "eucanimage" / case.folder).glob("*Codebook*.csv")
    return path


def labels(case: UseCase, shared: Path) -> dict[str, dict[str, str]]:
    """The label of each value of each coded variable, as the codebook lists them: `0; male | 1; female`.

    The rows of one codebook are quoted so that its last columns fall apart; the list of values lies before those.
    """
    with codebook_path(case, shared).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    column = rows[0].index("Code")
    found: dict[str, dict[str, str]] = {}
    for row in rows[1:]:
        values = [one.partition(";") for one in row[column].split("|") if re.match(r"\s*\d+;", one)]
        if values:
            found[row[0].strip()] = {key.strip(): label.strip() for key, _, label in values}
    return found


def codebook_fields(case: UseCase, shared: Path) -> list[str]:
    """The variables of a codebook."""
    with codebook_path(case, shared).open(encoding="utf-8-sig", newline="") as file:
        return [row[0].strip() for row in csv.reader(file)][1:]


def codebook_text(case: UseCase, shared: Path) -> str:
    """A codebook's text as it is quoted in the differences: without quotation marks and spaces."""
    return bare(codebook_path(case, shared).read_text(encoding="utf-8-sig"))


def bare(text: str) -> str:
    """A text without quotation marks and spaces, in which the codebooks differ from themselves."""
    return re.sub(r"[\"\s]", "", text)
