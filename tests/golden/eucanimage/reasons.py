"""Why our statement may differ from the published one; each reason says what it may change, and is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.golden.eucanimage.published import NOT_RECORDED, Statement

UNKNOWN_CODE = "NCIT-STAGE|"


@dataclass(frozen=True)
class Case:
    """A published statement, ours (None where there is none), and the cell that both come from.

    Arguments: `label` is what the codebook calls the cell's value, "" where it lists none; `listed` whether the
    variable has a list of values at all.
    """

    published: Statement | None
    ours: Statement | None
    cell: str
    label: str
    listed: bool
    row: dict[str, str]

    @property
    def said(self) -> Statement:
        assert self.published is not None
        return self.published

    @property
    def own(self) -> Statement:
        assert self.ours is not None
        return self.ours


@dataclass(frozen=True)
class Reason:
    """A reason: what it `changes`, whether it `holds`; `known` ones were known before, others quote the codebook."""

    about: str
    changes: frozenset[str]
    holds: Callable[[Case], bool]
    known: bool = True


def _reason(about: str, changes: str, holds: Callable[[Case], bool], *, known: bool = True) -> Reason:
    return Reason(about, frozenset(changes.split()), holds, known)


def _blank(case: Case) -> bool:
    return case.ours is None and not case.cell and NOT_RECORDED in (case.said.code, case.said.value)


def _outside(case: Case) -> bool:
    return bool(case.cell) and case.listed and not case.label


def _same_but_uri(case: Case) -> bool:
    """Whether code and value hold the staging address, and ours the real one."""
    before = (case.said.code, case.said.value)
    after = (case.own.code, case.own.value)
    return any(UNKNOWN_CODE in one for one in before) and not any(UNKNOWN_CODE in one for one in after)


def _staged(code: str) -> str:
    return code.replace(UNKNOWN_CODE, "NCIT|")


def _drug_told(case: Case) -> bool:
    """The same dose and cycles; no period, since the form knows a number of weeks only."""
    kept = {one for one in case.said.parts if not one.startswith(("period", "status", "total dose"))}
    return case.own.type == "MedicationStatement" and kept <= case.own.parts


def _status_told(case: Case) -> bool:
    """Published unknown although the record tells of completed chemotherapy or completed cycles."""
    suffix = case.said.variable.removeprefix("chemo_drug")
    told = case.row.get("chemo") == "2" or case.row.get(f"neoadj_chemo{suffix}", "") > "0"
    return told and "status unknown" in case.said.parts and "status completed" in case.own.parts


REASONS: dict[str, Reason] = {
    "not-recorded": _reason("a blank cell is published as Not recorded; we say nothing", "absent", _blank),
    "outside-list": _reason(
        "the cell holds a value that the codebook doesn't list; we refuse it", "absent", _outside, known=False
    ),
    "blank-unconfirmed": _reason(
        "a blank cell is published as an unconfirmed diagnosis; we say nothing",
        "absent",
        lambda case: case.ours is None and not case.cell and "VER|unconfirmed" in case.said.parts,
    ),
    "blank-condition": _reason(
        "a cancer is published although the record doesn't tell of one; we say nothing",
        "absent",
        lambda case: (
            case.ours is None
            and case.said.type == "Condition"
            and case.row.get("indeterm_nodule", "") not in ("0", "1")
        ),
        known=False,
    ),
    "one-condition": _reason(
        "the diagnosis and its age are published as two Conditions; we state one",
        "code value",
        lambda case: case.said.type == case.own.type == "Condition",
        known=False,
    ),
    "against-histology": _reason(
        "a cancer is published that the histology of the same record denies",
        "code value type",
        lambda case: case.row.get("indeterm_nodule") == "1" or case.row.get("histopat") in ("1", "2"),
        known=False,
    ),
    "histology-condition": _reason(
        "histology is published as a Condition of its own; we state it as the histology of the cancer",
        "code value type",
        lambda case: case.said.type == "Condition" and case.own.code == "LNC|31206-6",
    ),
    "lesion-condition": _reason(
        "a lesion that isn't the cancer is published as a Condition; we state a finding with its code as the value",
        "code value type",
        lambda case: case.own.code == "SCT|52988006" and case.own.value == case.said.code,
        known=False,
    ),
    "label": _reason(
        "the published code contradicts the codebook's label",
        "value",
        lambda case: bool(case.label),
    ),
    "no": _reason(
        "'no' is published as Not detected",
        "value",
        lambda case: case.label == "no" and case.said.value == "SCT|260415000" and case.own.value == "SCT|373067005",
    ),
    "psc": _reason(
        "primary sclerosing cholangitis is published as fatty liver disease",
        "code",
        lambda case: case.said.code == "SCT|1231824009" and case.own.code == "SCT|197441003",
    ),
    "thad": _reason(
        "THAD is published with the code of comorbidity",
        "code",
        lambda case: case.said.code == "SCT|398192003",
    ),
    "subtype-code": _reason(
        "the PAM50 subtype is published with the code of the subtype by proxy",
        "code",
        lambda case: case.own.code == "NCIT|C120494",
    ),
    "subtype-components": _reason(
        "the subtype is published as receptor components; we state the codebook's label",
        "value",
        lambda case: case.said.value == f"components: {case.own.value}" and case.own.value == case.label,
        known=False,
    ),
    "ncit-uri": _reason("the system's address is that of a staging server", "code value", _same_but_uri),
    "yp": _reason(
        "a stage after therapy (ypT, ypN) is published as pathological",
        "code value",
        lambda case: case.said.variable in ("tnm_ypt", "tnm_ypn"),
    ),
    "brca": _reason(
        "published Positive or Negative; the codebook gives the mutation's own code",
        "value",
        lambda case: case.said.variable in ("brca1", "brca2") and case.said.value in ("SCT|10828004", "SCT|260385009"),
    ),
    "unit-u": _reason(
        "a count is published with UCUM's U, which is an enzyme unit",
        "value",
        lambda case: case.said.value == f"{case.own.value} U",
        known=False,
    ),
    "breastfeeding": _reason(
        "published as Breast fed, which is about the child; the codebook has Breastfeeding (mother)",
        "code",
        lambda case: (case.said.code, case.own.code) == ("SCT|169741004", "SCT|413712001"),
        known=False,
    ),
    "relative": _reason(
        "published as the bare qualifier First degree; the codebook has the blood relative",
        "value",
        lambda case: (case.said.value, case.own.value) == ("SCT|264500008", "SCT|125678001"),
        known=False,
    ),
    "screening": _reason(
        "published as MRI for screening; the label names no modality",
        "code",
        lambda case: (case.said.code, case.own.code) == ("SCT|609223006", "SCT|268547008"),
        known=False,
    ),
    "fake-period": _reason(
        "published with a period from 1970; we state the drug without a period, and the weeks as an answer",
        "type value",
        _drug_told,
    ),
    "total-dose": _reason(
        "the accumulated dose is published as a rate of the drug; we state it as an answer",
        "value",
        lambda case: any(one.startswith("total dose") for one in case.said.parts) and "acc_dose" in "".join(case.row),
        known=False,
    ),
    "drug-status": _reason(
        "the drug is published with status unknown; the form tells of completed treatment",
        "value",
        _status_told,
        known=False,
    ),
    # statements of ours that nothing published goes with
    "own-age": _reason(
        "the age at diagnosis, published as part of a Condition only",
        "own",
        lambda case: case.own.code == "SCT|423493009",
        known=False,
    ),
    "own-unpublished": _reason(
        "a filled cell that was left out of the bundles", "own", lambda case: bool(case.cell), known=False
    ),
    "own-duration": _reason(
        "a number of weeks or months, published as a period from 1970",
        "own",
        lambda case: case.own.variable.find("_dur") > 0,
    ),
    "own-dose": _reason(
        "the accumulated dose, published as a rate of the drug",
        "own",
        lambda case: case.own.variable.startswith("acc_dose"),
        known=False,
    ),
    "own-recurrence": _reason(
        "also an answer, since OMOP has no clinical status",
        "own",
        lambda case: case.own.variable == "recurrence",
        known=False,
    ),
    "own-primary": _reason(
        "the primary cancer that the code of the metastasis names",
        "own",
        lambda case: case.own.code == "SCT|93761005",
        known=False,
    ),
    "own-biopsy": _reason(
        "the biopsy that a section is about", "own", lambda case: case.own.code == "SCT|86273004", known=False
    ),
}
