"""The offline FHIR validator of containers/validator as a fixture: the judge of what goes out."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.services import java
from tests.services.need import require

# mCODE builds on US Core, which is on no registry
US_CORE = java.ROOT.parent / "shared" / "standards" / "us-core-6.1.0"
LINE = re.compile(
    r"^.*?:(?P<line>\d+): (?P<severity>fatal|error|warning|information): (?P<location>.*?): (?P<message>.*)$"
)
SUMMARY = re.compile(r"^(?P<resources>\d+) resources, \d+ with errors;")


class Issue(NamedTuple):
    """What the validator says about the resource on one line of the file."""

    line: int
    severity: str
    message: str
    location: str


Validate = Callable[[Path | Iterable[dict[str, Any]]], list[Issue]]


@pytest.fixture(scope="session")
def fhir_validator(tmp_path_factory: pytest.TempPathFactory) -> Validate:
    """`fhir_validator(file or resources)` gives errors and warnings by FHIR R4, US Core and mCODE.

    The file is NDJSON. Starting takes 5 to 10 s, so give it everything at once. `make servers` builds it.
    """
    require(not java.missing("validator"), java.missing("validator"))
    require(US_CORE.is_dir(), "the US Core profiles of ../shared/standards are not here")

    def validate(what: Path | Iterable[dict[str, Any]]) -> list[Issue]:
        path = what if isinstance(what, Path) else _write(tmp_path_factory.mktemp("fhir"), what)
        start = java.command("validator", "Validate", "-Xmx1g")
        profiles = ["-p", str(java.home("validator") / "mcode"), "-p", str(US_CORE)]
        command = [*start, *profiles, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
        return parse(done.stdout, expected=_lines(path), complaint=done.stderr)

    return validate


def parse(output: str, *, expected: int, complaint: str = "") -> list[Issue]:
    """The issues in what the validator printed, which must say that it saw all `expected` resources."""
    lines = output.splitlines()
    summary = SUMMARY.match(lines[-1]) if lines else None
    assert summary is not None, f"it did not finish, 0 of {expected} resources: {complaint[-2000:]}"
    assert int(summary["resources"]) == expected, f"the validator saw {summary[0]} of {expected} resources"
    found = [(line, LINE.match(line)) for line in lines[:-1]]
    strange = [line for line, match in found if not match]
    assert not strange, f"the validator printed what nobody understands: {strange[:3]}"
    return [Issue(int(m["line"]), m["severity"], m["message"], m["location"]) for _, m in found if m]


def _write(folder: Path, resources: Iterable[dict[str, Any]]) -> Path:
    path = folder / "resources.ndjson"
    lines = (json.dumps(resource, ensure_ascii=False) + "\n" for resource in resources)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _lines(path: Path) -> int:
    with path.open(encoding="utf-8") as lines:
        return sum(1 for line in lines if line.strip())
