"""The faults of the published EuCanImage mappings, planted into copies of our studies, are each found by lint.

Where they were published and how they were found: issue 3, "Reasons known so far", and standards/patterns.md section 3.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pytest

from caseweave.assets import data_path
from caseweave.plan.lint import LintFinding, knowledge, lint
from caseweave.spec.loader import load_study
from caseweave.terms import Display

# codes of the published bundles that no study of ours uses
PUBLISHED = {("SCT", "260415000"): "Not detected", ("SCT", "713609000"): "Invasive carcinoma of breast"}


@dataclass(frozen=True)
class Fault:
    """One published fault: where it is planted (old text, new text), and what lint must say of which line."""

    name: str
    study: str
    file: str
    changes: Mapping[str, str]
    rule: str
    said: str


def codes(changes: Mapping[str, str]) -> dict[str, str]:
    """Changes of the codes of a value set: local value and code, to another code."""
    found = {}
    for old, new in changes.items():
        key, code = old.split(" ", 1)
        found[f'"{key}": {{code: {code},'] = f'"{key}": {{code: {new},'
    return found


GRADE = codes({
    "0 SCT|1228848004": "SCT|1228845001", "1 SCT|1228850007": "SCT|1228848004",
    "2 SCT|1228851006": "SCT|1228850007", "3 SCT|1228845001": "SCT|1228851006",
})  # fmt: skip
FAULTS = [
    Fault("primary sclerosing cholangitis published as NAFLD", "eucanimage-uc1", "use-case-1.yaml",
          {"SCT|197441003": "SCT|1231824009"}, "one-code-two-variables", "'psc' and 'nafld'"),
    Fault("primary sclerosing cholangitis published as NAFLD, by its name", "eucanimage-uc1", "use-case-1.yaml",
          {"SCT|197441003": "SCT|1231824009"}, "code-of-another-field", "Non-alcoholic fatty liver disease"),
    Fault("thad shares the comorbidity code", "eucanimage-uc3", "use-case-3.yaml",
          {"differences}, means: {pattern: answer}": "differences}, means: {pattern: finding, code: SCT|398192003}"},
          "one-code-two-variables", "'thad' and 'comorb_present'"),
    Fault("bcstproxy and bcst_pam50 share one code (UC7)", "eucanimage-uc7", "use-case-7.yaml",
          {"NCIT|C120494": "SCT|372064008+260837004"}, "one-code-two-variables", "'bcst_pam50' and 'bcstproxy'"),
    Fault("bcstproxy and bcst_pam50 share one code (UC6 and 8)", "eucanimage-uc6-8", "use-case-6-8.yaml",
          {"NCIT|C120494": "SCT|372064008+260837004"}, "one-code-two-variables", "'bcst_pam50' and 'bcstproxy'"),
    Fault("laterality in breast MRI", "eucanimage-uc7", "valuesets/eucanimage/laterality-mri.yaml",
          codes({"2 SCT|73056007": "SCT|80248007"}), "code-against-label", "side right against left"),
    Fault("grade shifted by one (UC4 and 5)", "eucanimage-uc4-5", "valuesets/eucanimage/tumor-grade.yaml",
          GRADE, "code-against-label", "level 1 against x"),
    Fault("grade shifted by one (UC6 and 8)", "eucanimage-uc6-8", "valuesets/eucanimage/invasive-grade.yaml",
          GRADE, "code-against-label", "level 3 against 2"),
    Fault("grade shifted by one (UC7)", "eucanimage-uc7", "valuesets/eucanimage/invasive-grade.yaml",
          GRADE, "code-against-label", "level x against 3"),
    Fault("tumour regression grade shifted by one", "eucanimage-uc4-5", "valuesets/eucanimage/ryan-regression.yaml",
          codes({"0 NCIT|C155941": "SCT|1155705000", "1 NCIT|C155942": "NCIT|C155941"}),
          "code-against-label", "level 0 against x"),
    Fault("extramural vascular invasion inverted", "eucanimage-uc4-5", "valuesets/eucanimage/emvi.yaml",
          codes({"0 SCT|2667000": "SCT|52101004", "1 SCT|52101004": "SCT|2667000"}),
          "code-against-label", "no against yes"),
    Fault("histology shifted by one: only ductal is benign", "eucanimage-uc6-8",
          "valuesets/eucanimage/breast-histology-mmg.yaml", codes({"0 ICDO3|8500/3": "SCT|3898006"}),
          "code-against-label", "nature malignant against benign"),
    Fault("histology shifted by one: ductal and other than lobular is ductal and lobular", "eucanimage-uc6-8",
          "valuesets/eucanimage/breast-histology-mmg.yaml", codes({"2 ICDO3|8523/3": "ICDO3|8522/3"}),
          "code-against-label", "histology ductal against ductal+lobular"),
    Fault("histology shifted by one: only lobular is ductal", "eucanimage-uc6-8",
          "valuesets/eucanimage/breast-histology-mmg.yaml", codes({"3 ICDO3|8520/3": "ICDO3|8523/3"}),
          "code-against-label", "histology lobular against ductal"),
    Fault("mixed adenocarcinoma published as neuroendocrine", "eucanimage-uc4-5",
          "valuesets/eucanimage/rectal-histology.yaml", codes({"1 ICDO3|8255/3": "ICDO3|8246/3"}),
          "code-against-label", "neuroendocrine"),
    Fault("cT1mi published as cT1a", "eucanimage-uc7", "valuesets/eucanimage/breast-ct.yaml",
          codes({"6 SCT|1228891009": "SCT|1228892002"}), "code-against-label", "T1mi against T1a"),
    Fault("cT1c published as cT1mi", "eucanimage-uc7", "valuesets/eucanimage/breast-ct.yaml",
          codes({"9 SCT|1228899006": "SCT|1228891009"}), "code-against-label", "T1c against T1mi"),
    Fault("ypT published as pT", "eucanimage-uc4-5", "valuesets/eucanimage/rectal-ypt.yaml",
          codes({"3 SCT|1228869002": "SCT|1228957006"}), "code-against-label", "ypT against pT"),
    Fault("ypN published as pN", "eucanimage-uc4-5", "valuesets/eucanimage/rectal-ypn.yaml",
          codes({"1 SCT|1229878000": "SCT|1229947003"}), "code-against-label", "ypN against pN"),
    Fault("BRCA1 negative published as positive", "eucanimage-uc7", "valuesets/eucanimage/brca1.yaml",
          codes({"1 SCT|412736006": "SCT|412734009"}), "code-against-label", "no against yes"),
    Fault("BRCA2 published as BRCA1", "eucanimage-uc7", "valuesets/eucanimage/brca2.yaml",
          codes({"0 SCT|412738007": "SCT|412734009"}), "code-against-label", "marker brca2 against brca1"),
    Fault("the NCIt system's URI", "eucanimage-uc7", "study.yaml",
          {"sheets:": 'systems: {NCIT: {url: "http://ncithesaurus-stage.nci.nih.gov", omop: NCIt}}\nsheets:'},
          "system-url", "ncithesaurus-stage"),
    Fault("no published as not detected", "eucanimage-uc1", "valuesets/eucanimage/yes-no-unknown.yaml",
          codes({"1 SCT|373067005": "SCT|260415000"}), "answer-as-result", "Not detected"),
    Fault("not recorded published as an answer", "eucanimage-uc1", "valuesets/eucanimage/yes-no-unknown.yaml",
          {'label: {en: unknown}': 'label: {en: Not recorded}', "SCT|261665006": "SCT|373067005"},
          "code-against-label", "unknown against no"),
    Fault("a patient without gender", "eucanimage-uc1", "use-case-1.yaml",
          {"patient: {pattern: patient, sex: sex,": "patient: {pattern: patient,"}, "patient-without-sex", "no gender"),
    Fault("a period from 1970", "eucanimage-uc7", "use-case-7.yaml",
          {"    drug: chemo_drug_$i\n": '    drug: chemo_drug_$i\n    start: "1970-01-01"\n'},
          "constant-date", "1970-01-01"),
    Fault("the histology published as a Condition of its own", "eucanimage-uc4-5", "use-case-4-5.yaml",
          {"statements:\n": "statements:\n  histology: {pattern: primary-cancer, code: histopat}\n"},
          "morphology-as-diagnosis", "ICDO3|8140/3"),
    Fault("Ki-67 published as HER2", "eucanimage-uc7", "use-case-7.yaml",
          {"(pathology)}, means: {pattern: tumor-marker, code: LNC|85330-9": "(pathology)}, means: {pattern: "
           "tumor-marker, code: LNC|85319-2"}, "code-against-label", "marker ki67 against her2"),
    Fault("deceased and alive swapped", "eucanimage-uc7", "valuesets/eucanimage/deceased.yaml",
          codes({"0 SCT|438949009": "SCT|419099009"}), "code-against-label", "life alive against dead"),
    Fault("a rule that nothing can satisfy", "eucanimage-uc4-5", "use-case-4-5.yaml",
          {"when: chemo_drug_$i is present": 'when: "neoadj_$i <= 13 and neoadj_$i >= 31"'}, "never-holds", "neoadj_1"),
    Fault("a rule that orders codes", "eucanimage-uc7", "use-case-7.yaml",
          {"when: chemo_drug_$i is present and (": "when: chemo_drug_$i <= '13' and chemo_drug_$i >= '31' and ("},
          "codes-have-no-order", "compared by order"),
    Fault("a mistyped code", "eucanimage-uc1", "use-case-1.yaml", {"SCT|19943007": "SCT|19943070"}, "bad-code",
          "check digit"),
]  # fmt: skip


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a copy of a study with its value sets inside."""
    root = tmp_path_factory.mktemp("studies")

    def copy(study: str) -> Path:
        folder = root / study
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(data_path("mappings") / study, folder)
        shutil.copytree(data_path("vocabularies") / "eucanimage", folder / "valuesets" / "eucanimage")
        return folder

    return copy


@pytest.fixture(scope="module")
def clean(copies: Callable[[str], Path]) -> Callable[[str], frozenset[tuple[str, str]]]:
    """What lint says of a study before anything is planted."""
    return lru_cache(lambda study: frozenset((one.rule, one.message) for one in findings(copies(study))))


def findings(folder: Path) -> list[LintFinding]:
    study = load_study(folder)
    known = knowledge(study)
    more = {code: Display(text, "published bundles") for code, text in PUBLISHED.items()}
    return lint(study, replace(known, displays={**more, **known.displays}))


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_published_fault_is_found(
    copies: Callable[[str], Path], clean: Callable[[str], frozenset[tuple[str, str]]], fault: Fault
) -> None:
    before = clean(fault.study)
    folder = copies(fault.study)
    path = folder / fault.file
    text = path.read_text(encoding="utf-8")
    for old, new in fault.changes.items():
        assert old in text, f"the study no longer holds {old!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    new_ones = [one for one in findings(folder) if (one.rule, one.message) not in before]
    found = [one for one in new_ones if one.rule == fault.rule and fault.said in one.message]
    assert found, [f"{one.rule}: {one.message}" for one in new_ones]
    assert found[0].severity in ("error", "warning")
    assert found[0].file.endswith(fault.file) and found[0].line >= 1 and found[0].way_out


@pytest.mark.parametrize("name", ["uc1", "uc3", "uc4-5", "uc6-8", "uc7"])
def test_a_study_without_planted_faults_has_no_errors(copies: Callable[[str], Path], name: str) -> None:
    errors = [one for one in findings(copies(f"eucanimage-{name}")) if one.severity == "error"]
    assert [f"{one.place} {one.rule}: {one.message}" for one in errors] == []
