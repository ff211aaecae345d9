"""LibreOffice, headless, with a profile of its own: opens, converts and saves workbooks as a person would."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.need import require

Convert = Callable[[Path, str], Path]


@pytest.fixture(scope="session")
def soffice(tmp_path_factory: pytest.TempPathFactory) -> Convert:
    """`soffice(path, "xlsx")` opens a file in LibreOffice, saves it in that format and gives the new path.

    A format may name its filter: `xlsx:Calc MS Excel 2007 XML`. Fails when LibreOffice writes nothing.
    """
    program = shutil.which("soffice") or shutil.which("libreoffice")
    require(program, "LibreOffice is not installed (Debian: libreoffice-calc-nogui)")
    profile = tmp_path_factory.mktemp("office-profile")

    def convert(path: Path, to: str) -> Path:
        out = tmp_path_factory.mktemp("office")
        command = [str(program), f"-env:UserInstallation={profile.as_uri()}", "--headless", "--norestore"]
        done = subprocess.run(
            [*command, "--convert-to", to, "--outdir", str(out), str(path)],
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        made = out / f"{path.stem}.{to.split(':')[0]}"
        # LibreOffice ends with 0 even when it could not open the file
        assert made.is_file(), f"LibreOffice made no {to} of {path.name}: {done.stdout} {done.stderr}"
        return made

    return convert
