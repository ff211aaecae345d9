"""LibreOffice, headless, with a profile of its own: opens, converts, fills in and saves workbooks as a person would."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

import pytest

from tests.services.need import require

Convert = Callable[[Path, str], Path]
Edits = Mapping[tuple[str, str], str]
Type = Callable[[Path, Edits], Path]

LIBRARY = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE library:library PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "library.dtd">
<library:library xmlns:library="http://openoffice.org/2000/library" library:name="Standard" library:readonly="false"
 library:passwordprotected="false"><library:element library:name="Typing"/></library:library>"""
MODULE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE script:module PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "module.dtd">
<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Typing" script:language="StarBasic">
{text}</script:module>"""


def _program() -> str:
    program = shutil.which("soffice") or shutil.which("libreoffice")
    require(program, "LibreOffice is not installed (Debian: libreoffice-calc-nogui)")
    return str(program)


@pytest.fixture(scope="session")
def office_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile that no other LibreOffice uses."""
    return tmp_path_factory.mktemp("office-profile")


def _run(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [_program(), f"-env:UserInstallation={profile.as_uri()}", "--headless", "--norestore", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


@pytest.fixture(scope="session")
def soffice(tmp_path_factory: pytest.TempPathFactory, office_profile: Path) -> Convert:
    """`soffice(path, "xlsx")` opens a file in LibreOffice, saves it in that format and gives the new path.

    A format may name its filter: `xlsx:Calc MS Excel 2007 XML`. Fails when LibreOffice writes nothing.
    """
    _program()

    def convert(path: Path, to: str) -> Path:
        out = tmp_path_factory.mktemp("office")
        done = _run(office_profile, "--convert-to", to, "--outdir", str(out), str(path))
        made = out / f"{path.stem}.{to.split(':')[0]}"
        # LibreOffice ends with 0 even when it could not open the file
        assert made.is_file(), f"LibreOffice made no {to} of {path.name}: {done.stdout} {done.stderr}"
        return made

    return convert


@pytest.fixture(scope="session")
def type_in_office(tmp_path_factory: pytest.TempPathFactory, soffice: Convert, office_profile: Path) -> Type:
    """`type_in_office(path, {("Sheet", "B7"): "text"})` opens a workbook, types into cells, saves it as xlsx elsewhere.

    What is typed becomes what LibreOffice makes of it: a number, a date, a formula, a text.
    """
    out = tmp_path_factory.mktemp("office-first")
    (out / "first.csv").write_text("a\n", encoding="utf-8")
    soffice(out / "first.csv", "xlsx")  # LibreOffice makes the profile that the macro is put into
    basic = office_profile / "user" / "basic" / "Standard"
    basic.mkdir(parents=True, exist_ok=True)
    (basic / "script.xlb").write_text(LIBRARY, encoding="utf-8")
    text = Path(__file__).with_name("typing.bas").read_text(encoding="utf-8")
    (basic / "Typing.xba").write_text(MODULE.format(text=escape(text)), encoding="utf-8")

    def type_in(path: Path, edits: Edits) -> Path:
        folder = tmp_path_factory.mktemp("office-typed")
        lines, made = folder / "edits.txt", folder / path.name
        # no line end behind the last line: LibreOffice would take it for a part of the text
        told = "\n".join(f"{sheet}\t{cell}\t{said}" for (sheet, cell), said in edits.items())
        lines.write_text(told, encoding="utf-8")
        names = ",".join(f'"{one.as_uri()}"' for one in (path, made, lines))
        done = _run(office_profile, f"macro:///Standard.Typing.TypeInto({names})")
        assert made.is_file(), f"LibreOffice saved no {made.name}: {done.stdout} {done.stderr}"
        return made

    return type_in
