"""Every kind of rule over cells of every sort: partial dates, numbers below another, missing codes, rubbish."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from tests.unit.quality.expected import by_expectations, by_ours, converted, ran

from caseweave.quality.judge import answers, of_patients
from caseweave.quality.kinds import KINDS
from caseweave.quality.rules import rules_of
from caseweave.terms.presence import presence

STUDY = """
study: visits
version: 1.0.0
title: {en: Visits}
subject: given
site: {field: patient_id, matches: '([A-Z])-'}
dates: {accept: ["YYYY-MM-DD", "YYYY-MM", "YYYY"]}
missing: {codes: {NA: not-applicable, UNK: unknown}}
sheets: [visits]
fhir: {release: R4}
omop: {cdm: "5.4"}
"""
SHEET = """
sheet: Visits
grain: many rows per patient
key: [visit]
fields:
  patient_id: {type: id, role: subject, required: true, matches: '[A-Z]-\\d+'}
  visit: {type: integer, required: true}
  birth: {type: date}
  seen: {type: date}
  died: {type: date, required: 'status = "dead"'}
  status: {type: code, values: status}
  marker: {type: number, unit: U/mL, range: {warn: [1, 50], error: [0, 90]}}
  other: {type: number, unit: U/mL}
  device: {type: text, matches: 'D\\d'}
statements:
  patient: {pattern: patient, birth: birth}
"""
VALUES = """
valueset: status
values: {alive: {code: SCT|438949009}, dead: {code: SCT|419099009}, lost: {missing: unknown}}
"""
RULES = """
study: visits
rules:
  - {id: in-order, kind: order, sheet: visits, fields: [birth, seen, died], message: Not in order.}
  - {id: dead-or-not, sheet: visits, when: died is present, expr: 'status = "dead"', message: Alive.}
  - {id: said-why, sheet: visits, when: status is missing, expr: unknown(marker) or marker > 20, message: Why.}
  - {id: not-both, sheet: visits, expr: not (status = "alive" and marker > 40) or other is missing, message: Both.}
  - {id: one-below-other, sheet: visits, when: other is present, expr: marker < other, message: Above.}
  - {id: surely-before, sheet: visits, when: seen is present and died is present, expr: seen < died, message: After.}
  - {id: not-before, sheet: visits, when: seen is present, expr: not (died < seen), message: Before.}
  - {id: usual, kind: range, sheet: visits, fields: [marker, other], between: [5, 60], message: Unusual.}
  - {id: filled, kind: required, sheet: visits, when: 'status = "alive"', fields: [marker, seen], message: Empty.}
  - {id: year-after, sheet: visits, when: seen is present, expr: year(seen) > 2015, message: Early.}
  - {id: months, sheet: visits, when: died is present, expr: 'months_between(seen, died) <= 24', message: Late.}
  - {id: last, sheet: visits, when: seen is present, expr: seen <= latest(visits.seen), message: Later than the last.}
  - {id: device-once, kind: unique, sheet: visits, fields: [device], message: Twice.}
  - {id: marker-once, kind: unique, sheet: visits, by: patient, fields: [marker, status], message: Twice.}
  - {id: site-filled, kind: share, sheet: visits, fields: [marker], least: 0.75, message: Few.}
  - {id: study-filled, kind: share, sheet: visits, by: study, fields: [other, device], least: 0.7, message: Few.}
  - {id: far, kind: outlier, sheet: visits, fields: [marker, other], most: 1.2, message: Far.}
  - {id: in, kind: inclusion, sheet: visits, when: seen is present, expr: marker > 10, message: Out.}
  - {id: out, kind: exclusion, sheet: visits, expr: other > 70, message: Out.}
"""
CELLS = {
    "birth": ["1950-01-02", "1960", "1971-05", "2013-06-30", "NA", "", "soon"],
    "seen": ["2013-06-15", "2014", "2016-02", "2016-02-29", "2018-07-01", "UNK", "", "2019-02-30", "2031-01-01"],
    "died": ["2014-03", "2016-02-10", "2016", "2019-12-31", "NA", "", ""],
    "status": ["alive", "dead", "lost", "Dead", "NA", "UNK", "", "gone"],
    "marker": ["3", "12.5", "40", "40.0", "55", "95", "<5", ">60", "<=12.5", "UNK", "NA", "", "high", "1,5", "12 U/mL"],
    "other": ["4", "12.5", "41", "75", "NA", "UNK", "", "<10", "8 kg"],
    "device": ["D1", "D2", "D3", "X", "=1", "NA", ""],
}


@pytest.mark.parametrize("seed", range(3))
def test_both_ways_find_the_same_cells(seed: int, tmp_path: Path) -> None:
    study = tmp_path / "visits"
    (study / "valuesets").mkdir(parents=True)
    for name, text in (("study", STUDY), ("visits", SHEET), ("rules", RULES), ("valuesets/status", VALUES)):
        (study / f"{name}.yaml").write_text(text.lstrip(), encoding="utf-8")
    chance = random.Random(seed)
    lines = [",".join(("patient_id", "visit", *CELLS))]
    for n in range(40):
        cells = [f'"{chance.choice(some)}"' for some in CELLS.values()]
        lines.append(",".join((f"{'AB'[n % 2]}-{n // 3}" if n != 7 else "nobody", str(n), *cells)))
    form = tmp_path / "form.csv"
    form.write_text("\n".join([*lines, lines[5], lines[9]]) + "\n", encoding="utf-8")
    made = converted(str(study), form)
    results = ran(made)
    assert [(one.rule, one.unable) for one in results if one.unable] == []
    ours, theirs = by_ours(made), by_expectations(results)
    assert theirs == ours
    told = {rule for *_, rule in ours}
    assert len(told) >= 18
    facts = made.applied.sheets["visits"]
    criteria = {rule.id: rule for rule in rules_of(made.study) if KINDS[rule.kind].rows == "patient"}
    for one in ran(made, criteria=True):
        rule = criteria[one.rule]
        _, out = of_patients(rule, facts, answers(rule, facts, made.applied.sheets, presence()), len(facts.names))
        # the first row is that of the headers
        patients = [int(facts.rows.subjects[int(cell[1:]) - 2]) for *_, cell in one.cells]
        assert patients
        assert sorted(patients) == np.flatnonzero(out).tolist()
