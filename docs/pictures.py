"""Take the pictures of the report in docs/img anew, with Chromium: `python docs/pictures.py` in the repository."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# what is shown: the file, the size of the window, how far down the page begins, other switches
PICTURES = (
    ("report.png", 1280, 1060, 0, ()),
    ("report-cases.png", 1280, 1250, 1480, ("--blink-settings=preferredColorScheme=0",)),
)


def take(page: Path, name: str, width: int, height: int, down: int, switches: tuple[str, ...]) -> None:
    """One picture of a page."""
    shown = page.with_name(f"{name}.html")
    lifted = f"<style>main {{ margin-top: -{down}px; }}</style></head>"
    shown.write_text(page.read_text(encoding="utf-8").replace("</head>", lifted), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *switches]
    command += [f"--window-size={width},{height}", f"--screenshot={ROOT / 'docs' / 'img' / name}", shown.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def main() -> None:
    """Fill the form of the tests, with the problems that they plant, check it and picture the report."""
    sys.path.insert(0, str(ROOT))
    from tests.unit.quality.planted import planted_form

    from caseweave.quality.rules import rules_of
    from caseweave.run.check import check
    from caseweave.run.pipeline import Options
    from caseweave.run.workspace import Workspace
    from caseweave.spec.loader import load_study

    with tempfile.TemporaryDirectory() as folder:
        work, study = Path(folder), load_study("breast")
        form = planted_form(work / "site-a.xlsx", rules=rules_of(study))
        check(study, [form], Workspace(work / "ws"), Options(key_file=work / "breast.key"))
        for one in PICTURES:
            take(work / "ws" / "report.html", *one)


if __name__ == "__main__":
    main()
