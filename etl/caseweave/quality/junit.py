"""JUnit XML, as pipelines read it: suites of cases that passed, failed, could not run (error) or were skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

Outcome = Literal["passed", "failure", "error", "skipped"]
# what XML 1.0 has no place for (https://www.w3.org/TR/xml/#charsets)
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One case; `kind` names the sort of failure, `lines` are its details."""

    name: str
    outcome: Outcome = "passed"
    message: str = ""
    kind: str = ""
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases that belong together."""

    name: str
    cases: Sequence[Case]


def junit(name: str, suites: Iterable[Suite]) -> bytes:
    """Write suites as JUnit XML.

    >>> print(junit("breast", [Suite("diagnosis", [Case("required")])]).decode())
    <?xml version='1.0' encoding='utf-8'?>
    <testsuites name="breast" tests="1" failures="0" errors="0" skipped="0">
      <testsuite name="diagnosis" tests="1" failures="0" errors="0" skipped="0">
        <testcase name="required" classname="diagnosis" time="0" />
      </testsuite>
    </testsuites>
    """
    root = ElementTree.Element("testsuites", {"name": _xml(name)})
    every: list[Case] = []
    for suite in suites:
        node = ElementTree.SubElement(root, "testsuite", {"name": _xml(suite.name), **_counts(suite.cases)})
        every.extend(suite.cases)
        for case in suite.cases:
            spot = {"name": _xml(case.name), "classname": _xml(suite.name), "time": "0"}
            inside = ElementTree.SubElement(node, "testcase", spot)
            if case.outcome != "passed":
                told = {"message": _xml(case.message)} | ({"type": _xml(case.kind)} if case.kind else {})
                ElementTree.SubElement(inside, case.outcome, told).text = _xml("\n".join(case.lines)) or None
    root.attrib.update(_counts(every))
    ElementTree.indent(root)
    made: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return made


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    words = {"tests": None, "failures": "failure", "errors": "error", "skipped": "skipped"}
    return {name: str(sum(outcome in (None, case.outcome) for case in cases)) for name, outcome in words.items()}


def _xml(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)
