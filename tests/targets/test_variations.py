"""What holds whatever a mapping means: one cell emptied, spelt otherwise, a day later, and what must follow."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from caseweave.spec.models import Field
from tests.targets.studies import STUDIES
from tests.targets.variations import Form, Place, Told, form_of

DAY = re.compile(r"\d{4}-\d\d-\d\d")
# emptied, these change nothing: "completed" is what a therapy without a status counts as, cGy what a dose without a
# unit is in; and the same UID stands with many patients here, which a rule takes out everywhere
WITHOUT_TRACE = {"systemic_1_status", "systemic_3_status", "rt_dose_unit", "imaging_study_uid", "neoadj_1"}
# a side that the codebook doesn't list, rejected
REJECTED = {("eucanimage-uc7", "laterality")}
# what of the flagship OMOP has no column or no verified concept for
ONLY_IN_FHIR = {
    "breast": {
        "clinical_stage_type", "confirmed_by", "histology", "last_contact_date", "lesion_1_site", "lesion_2_site",
        "pathological_edition", "pathological_stage_type", "reconstruction", "rt_dose", "rt_dose_unit", "rt_fractions",
        "rt_intent", "rt_site", "surgery_intent", "systemic_1_intent", "systemic_1_status", "systemic_1_stop_reason",
        "systemic_2_intent", "systemic_2_status", "systemic_3_intent", "tnm_edition", "vital_status",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Variation:
    """A cell as it was and as it is, and what is told of either."""

    field: Field
    was: Place
    cell: object
    before: Told
    after: Told


@dataclass(frozen=True)
class Varied:
    """The variations of a study."""

    study: str
    all: list[Variation]


@pytest.fixture(scope="module", params=STUDIES)
def variations(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Varied:
    """All variations of a study's fullest patients, in one conversion."""
    form = form_of(request.param, shared, tmp_path_factory.mktemp("variations"))
    wanted = [(place, field, cell) for place, field in form.cells() for cell in others(form, place, field)]
    before, after = form.tell([replace(place, cell=cell) for place, _, cell in wanted])
    return Varied(
        request.param,
        [
            Variation(field, place, cell, before[place.person], told)
            for (place, field, cell), (_, told) in zip(wanted, after, strict=True)
        ],
    )


def others(form: Form, place: Place, field: Field) -> Iterator[object]:
    """What a cell is changed to: nothing, another word for the same, a day that the patient has nowhere else."""
    yield None
    if field.valueset is not None:
        entry = field.valueset.values.get(str(place.cell))
        spellings = sorted({*entry.aliases, *entry.label.values()} - {str(place.cell)}) if entry else []
        yield from spellings[:: max(1, len(spellings) - 1)]  # the first and the last
    if field.type == "date" and DAY.fullmatch(str(place.cell)):
        cells = {str(cell) for rows in form.people[place.person].values() for row in rows for cell in row.values()}
        day = datetime.date.fromisoformat(str(place.cell)) + datetime.timedelta(days=1)
        while day.isoformat() in cells:
            day += datetime.timedelta(days=1)
        yield day.isoformat()


def test_a_cell_leaves_a_trace(variations: Varied) -> None:
    """Nothing loaded is dropped on the way: emptied, it is missed in FHIR, and in OMOP but for a list."""
    emptied = [one for one in variations.all if one.cell is None and answered(one)]
    assert len(emptied) > 10
    silent = {one.was.field for one in emptied if one.after.fhir == one.before.fhir}
    assert {name for name in silent if (variations.study, name) not in REJECTED} <= WITHOUT_TRACE
    if variations.study in ONLY_IN_FHIR:
        unseen = {one.was.field for one in emptied if one.after.omop == one.before.omop}
        assert unseen - WITHOUT_TRACE == ONLY_IN_FHIR[variations.study] - WITHOUT_TRACE


def answered(one: Variation) -> bool:
    """Whether a cell says more than that nothing is known."""
    entry = one.field.valueset.values.get(str(one.was.cell)) if one.field.valueset is not None else None
    return not (entry is not None and entry.missing) and str(one.was.cell) not in one.field.missing


def test_another_word_for_the_same_changes_nothing(variations: Varied) -> None:
    spelt = [one for one in variations.all if one.cell is not None and one.field.type == "code"]
    assert len(spelt) > 3
    assert [(one.was.field, one.cell) for one in spelt if one.after != one.before] == []


def test_a_day_later_is_a_day_later_and_nothing_else(variations: Varied) -> None:
    """With the old day put back into what came of the new one, everything is as before."""
    moved = [one for one in variations.all if one.cell is not None and one.field.type == "date"]
    assert len(moved) > 20 or variations.study != "breast"
    for one in moved:
        assert one.after.fhir != one.before.fhir, one.was.field
        assert put_back(one.after.fhir, one) == put_back(one.before.fhir, one), one.was.field
        if one.was.field != "birth_date":  # OMOP has its day as a number
            assert put_back(one.after.omop, one) == put_back(one.before.omop, one), one.was.field


def put_back(told: Counter[str], one: Variation) -> Counter[str]:
    """What is told, with the old day for the new; without the period that spans all rows and has tests of its own."""
    found: Counter[str] = Counter()
    for text, times in told.items():
        if '"table": "observation_period"' not in text:
            found[text.replace(str(one.cell), str(one.was.cell))] += times
    return found
