"""The offline FHIR validator of containers/validator: built once into the cache, then run on NDJSON files.

    python tests/services/validator.py      builds it: Java 17, Maven and npm; about 90 s without caches

Only the standard library here: the builder runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "containers" / "validator"
US_CORE = ROOT.parent / "shared" / "standards" / "us-core-6.1.0"
MCODE = "hl7.fhir.us.mcode@4.0.0"  # CC0; the profiles come with their snapshots
MCODE_SHA256 = ""
LINE = re.compile(r"^(?P<file>.*?):(?P<line>\d+): (?P<severity>\w+): (?P<location>.*?): (?P<message>.*)$")


class Issue(NamedTuple):
    """What the validator says of one line of the file."""

    line: int
    severity: str
    message: str
    location: str


def home() -> Path:
    """The folder of this build: another source of the validator gives another folder."""
    cache = os.environ.get("CASEWEAVE_CACHE") or Path.home() / ".cache" / "caseweave"
    digest = hashlib.sha256(MCODE.encode())
    for path in sorted(p for p in SOURCES.rglob("*") if p.suffix in {".xml", ".java", ".csv"} and "target" not in p.parts):
        digest.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return Path(cache) / f"validator-{digest.hexdigest()[:12]}"
