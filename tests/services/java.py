"""Java programs for tests, built by Maven out of containers/NAME into the cache, a folder each.

    python tests/services/java.py validator hapi      builds them: Java 17 and Maven; 75 s each without caches

Only the standard library here: this also runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MCODE = ("hl7.fhir.us.mcode@4.0.0", "6bdb93934e2c0a859198e8c1c21eccb28915c73535d18c75c515c03bba9c45de")  # CC0
PARTS = ("StructureDefinition-", "ValueSet-", "CodeSystem-")


def home(name: str) -> Path:
    """The folder of the build of containers/NAME as it is now: a change of its sources gives another one."""
    cache = os.environ.get("CASEWEAVE_CACHE") or Path.home() / ".cache" / "caseweave"
    digest = hashlib.sha256(MCODE[1].encode() if name == "validator" else b"")
    for path in _sources(name):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return Path(cache) / f"{name}-{digest.hexdigest()[:12]}"


def missing(name: str) -> str:
    """Why the program cannot run here; empty when it can."""
    if not shutil.which("java"):
        return "Java is not installed (Debian: openjdk-17-jdk-headless)"
    if not home(name).is_dir():
        return f"containers/{name} is not built (make servers; needs Java 17 and Maven)"
    return ""


def command(name: str, main: str, *options: str) -> list[str]:
    """The command that starts class `main` of the build; its arguments follow."""
    parts = (str(home(name) / "classes"), str(home(name) / "dependency" / "*"))
    return ["java", *options, "-cp", os.pathsep.join(parts), main]


def build(name: str) -> Path:
    """Build containers/NAME unless that is done; the folder appears by rename, whole or not at all."""
    final = home(name)
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{name}-") as work:
        for path in _sources(name):
            copy = Path(work) / path.relative_to(ROOT / "containers" / name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        _run(["mvn", "-q", "-B", *goals], work)
        if name == "validator":
            _mcode(Path(work))
        try:
            (Path(work) / "target").rename(final)
        except OSError:  # another process was first
            if not final.is_dir():
                raise
    return final


def _mcode(work: Path) -> None:
    package, expected = MCODE
    _run(["npm", "pack", "--silent", package], str(work))
    (archive,) = work.glob("*.tgz")
    if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != expected:
        raise SystemExit(f"{package}: the package has SHA-256 {found}, expected {expected}")
    (work / "target" / "mcode").mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            file_name = Path(member.name).name
            if Path(member.name).parent.as_posix() == "package" and file_name.startswith(PARTS):
                content = tar.extractfile(member)
                assert content is not None, member.name
                (work / "target" / "mcode" / file_name).write_bytes(content.read())


def _sources(name: str) -> list[Path]:
    folder = ROOT / "containers" / name
    return [folder / "pom.xml", *sorted(path for path in (folder / "src").rglob("*") if path.is_file())]


def _run(command: list[str], folder: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        print(f"{wanted}: {build(wanted)}")
