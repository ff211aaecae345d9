"""`caseweave check` finds what a run would find and loads nothing."""

from __future__ import annotations

import json
from typing import Any

LOADS = ("fhir", "omop.sqlite", "manifest.json", "private/ledger.sqlite", "private/lineage")


def check(bench: Any, form: Any, *words: object) -> Any:
    return bench("check", form, "--studies", bench.studies, "--study", "mini", "-o", bench.workspace, *words)


def test_findings_and_work_list_and_nothing_else(bench: Any, dirty: Any) -> None:
    said = check(bench, bench.form(dirty))
    assert said.code == 1
    assert "nothing was loaded" in said.out
    assert "main!B4 sex: Not in value set sex." in said.out
    assert [name for name in LOADS if (bench.workspace / name).exists()] == []
    assert "Elena Moreno" in (bench.workspace / "private" / "worklist.csv").read_text()


def test_it_finds_what_a_run_finds(bench: Any, dirty: Any) -> None:
    form = bench.form(dirty)
    checked = check(bench, form, "--json").json
    findings = (bench.workspace / "findings.csv").read_bytes()
    ran = bench.run(form, "--json").json
    assert ran["run"] == 1
    assert (bench.workspace / "findings.csv").read_bytes() == findings
    for name in ("study", "sources", "balance", "facts", "findings", "concepts", "parity"):
        assert checked[name] == ran[name]


def test_without_a_fault_it_is_0(bench: Any, clean: Any) -> None:
    said = check(bench, bench.form(clean))
    assert said.code == 0
    assert "0: all could be loaded." in said.out


def test_in_a_workspace_its_patients_are_known_and_what_it_holds_stays(bench: Any, clean: Any) -> None:
    bench.run(bench.form(clean))
    held = {name: (bench.workspace / name).read_bytes() for name in ("omop.sqlite", "manifest.json")}
    # a file with the follow-up alone: its patients stand in the first one
    lone = check(bench, bench.form({"Visits": clean["Visits"]}, "more.xlsx"), "--json")
    rules = [one["rule"] for one in json.loads((bench.workspace / "findings.json").read_text())]
    assert "unknown-patient" not in rules and lone.json["findings"]["error"] == 0
    assert held == {name: (bench.workspace / name).read_bytes() for name in held}


def test_another_study_s_workspace_is_4(bench: Any, clean: Any) -> None:
    form = bench.form(clean)
    bench.run(form)
    said = bench("check", form, "--study", "hcc-tace", "-o", bench.workspace)
    assert said.code == 4
    assert "the workspace of study mini" in said.err


def test_the_report_speaks_the_language_asked_for(bench: Any, dirty: Any) -> None:
    form = bench.form(dirty)
    assert check(bench, form, "--language", "es").code == 1
    assert '<html lang="es">' in (bench.workspace / "report.html").read_text()
    assert bench.run(form, "--language", "es").code == 1
    assert "No se cargaron valores de" in (bench.workspace / "report.html").read_text()
    assert check(bench, form).code == 1
    assert '<html lang="en">' in (bench.workspace / "report.html").read_text()
    said = check(bench, form, "--language", "xx")
    assert said.code == 2 and "Reports are not written in 'xx'. Choose one of en, es." in said.err
