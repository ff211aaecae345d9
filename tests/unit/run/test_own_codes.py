"""A study's own codes.csv and systems.yaml reach FHIR and the work list."""

from __future__ import annotations

import csv
import json
from typing import Any


def test_own_codes_are_rendered_with_url_and_display(bench: Any, clean: Any) -> None:
    study = bench.studies / "mini"
    (study / "systems.yaml").write_text(
        "systems:\n  HOUSE: {url: https://lab.example/codes, omop: House}\n", encoding="utf-8"
    )
    (study / "codes.csv").write_text(
        "system,code,display,source\nHOUSE,7,Estrogen receptor,our lab\n", encoding="utf-8"
    )
    main = study / "main.yaml"
    main.write_text(main.read_text(encoding="utf-8").replace("LNC|16112-5", "HOUSE|7"), encoding="utf-8")
    said = bench.run(bench.form(clean))
    assert said.code == 0, said.err
    lines = (bench.workspace / "fhir" / "Observation.ndjson").read_text(encoding="utf-8").splitlines()
    codings = [coding for line in lines for coding in json.loads(line)["code"]["coding"]]
    assert {"system": "https://lab.example/codes", "code": "7", "display": "Estrogen receptor"} in codings
    with (bench.workspace / "private" / "worklist.csv").open(encoding="utf-8", newline="") as rows:
        assert "HOUSE|7" in {row["value"] for row in csv.DictReader(rows)}
    lint = bench("lint", "mini", "--studies", bench.studies)
    assert "HOUSE|7" not in lint.out + lint.err
