"""FHIR as XML, over all output of all studies: equal to fhir.resources' own."""

from __future__ import annotations

import re

from lxml import etree

from tests.targets.canonical import canonical_xml
from tests.targets.studies import Convert

VALUE = re.compile(rb'"value":(-?[0-9][0-9.eE+-]*)')


def test_equal_to_fhir_resources(converted: Convert, study: str) -> None:
    fhir = converted(study).result.fhir
    count = 0
    for kind in fhir:
        for mine, model in zip(fhir.xml(kind), fhir.models(kind), strict=True):
            assert canonical_xml(mine) == canonical_xml(model.model_dump_xml())
            count += 1
    assert count == sum(map(len, converted(study).lines.values()))


def test_digits_are_those_of_the_json(converted: Convert, study: str) -> None:
    """Numbers as text, not as numbers: 4.30 stays 4.30 in both."""
    fhir = converted(study).result.fhir
    for kind in fhir:
        for line, xml in zip(fhir.lines(kind), fhir.xml(kind), strict=True):
            written = sorted(one.decode() for one in VALUE.findall(line))
            root = etree.fromstring(xml)
            found = [str(one.get("value")) for one in root.iter("{http://hl7.org/fhir}value")]
            assert sorted(one for one in found if one in written) == written
