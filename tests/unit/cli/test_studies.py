"""`caseweave studies` and how a study is found."""

from __future__ import annotations

from typing import Any


def test_own_and_shipped_studies_are_listed(bench: Any) -> None:
    said = bench("studies", "--studies", bench.studies)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["name", "version", "title"]
    assert ["mini", "1.0.0", "A small form"] in [line.split(maxsplit=2) for line in lines]
    assert any(line.startswith("breast ") for line in lines)


def test_titles_come_in_the_language_asked_for(bench: Any) -> None:
    assert "Un formulario pequeño" in bench("studies", "--studies", bench.studies, "--language", "es").out


def test_a_study_that_cannot_be_read_is_listed_with_its_fault(bench: Any) -> None:
    (bench.studies / "mini" / "study.yaml").write_text("study: [", encoding="utf-8")
    said = bench("studies", "--studies", bench.studies)
    assert said.code == 0
    assert "mini" in said.out and "cannot be read: mini/study.yaml:" in said.out


def test_a_folder_that_is_none(bench: Any) -> None:
    said = bench("studies", "--studies", bench.folder / "nowhere")
    assert said.code == 2
    assert "is no folder" in said.err


def test_a_template_names_its_study(bench: Any, clean: Any) -> None:
    form = bench.form(clean, stamp=[("study", "mini"), ("version", "1.0.0")])
    said = bench("run", form, "--studies", bench.studies)
    assert said.code == 0, said.err
    assert (bench.folder / "caseweave-mini" / "manifest.json").exists()
    assert said.err == ""


def test_a_template_of_another_version_is_told(bench: Any, clean: Any) -> None:
    form = bench.form(clean, stamp=[("study", "mini"), ("version", "0.9.0")])
    said = bench("run", form, "--studies", bench.studies)
    assert said.code == 0
    assert said.err == "caseweave: source-1 was filled in a template of mini 0.9.0, read as mini 1.0.0.\n"


def test_a_foreign_file_needs_a_study(bench: Any, clean: Any, secrets: Any) -> None:
    said = bench("run", bench.form(clean), "--studies", bench.studies)
    assert said.code == 2
    assert "--study" in said.err and "mini" in said.err
    assert not any(secret in said.err for secret in secrets)
    assert not list(bench.folder.glob("caseweave-*"))


def test_templates_of_two_studies_do_not_mix(bench: Any, clean: Any) -> None:
    one = bench.form(clean, "one.xlsx", stamp=[("study", "mini")])
    two = bench.form(clean, "two.xlsx", stamp=[("study", "breast")])
    said = bench("run", one, two, "--studies", bench.studies)
    assert said.code == 2
    assert "breast, mini" in said.err
