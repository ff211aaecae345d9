"""The codes that EuCanImage's codebooks give to questions and answers."""

from __future__ import annotations

import re
from pathlib import Path

from tests.golden.eucanimage.published import SYSTEMS, UseCase, codebook_path

# the codebooks name NCIt by the same address as the bundles; here it is only the codes that count
ALIASES = {**SYSTEMS, "http://ncithesaurus-stage.nci.nih.gov": "NCIT", "http://unitsofmeasure.org": "UCUM"}
_CODING = r"\{\s*system:\s*(\S+?),\s*code:\s*(.+?),\s*display:\s*(.*?)\}"


def _lines(case: UseCase, shared: Path) -> dict[str, str]:
    """Each variable's line without quotation marks, which one of the codebooks has in the wrong places."""
    text = codebook_path(case, shared).read_text(encoding="utf-8-sig").replace('"', "")
    return {line.partition(",")[0]: line for line in text.splitlines()[1:]}


def answers(case: UseCase, shared: Path) -> dict[str, dict[str, tuple[str, str]]]:
    """Code and display of each answer, `{0: {system, code, display}, 1: ...}`, by variable and value."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for name, line in _lines(case, shared).items():
        for value, system, code, display in re.findall(r"[{,]\s*(\d+):\s*" + _CODING, line):
            found.setdefault(name, {})[value] = f"{ALIASES.get(system, system)}|{code.strip()}", display
    return found


def questions(case: UseCase, shared: Path) -> dict[str, str]:
    """The code of each question: the first coding of a line, where no value stands before it."""
    found: dict[str, str] = {}
    for name, line in _lines(case, shared).items():
        match = re.search(r"(.)" + _CODING, line)
        if match and match[1] == ",":
            found[name] = f"{ALIASES.get(match[2], match[2])}|{match[3].strip()}"
    return found
