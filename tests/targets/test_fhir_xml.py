"""FHIR as XML, over all output of all studies: equal to fhir.resources' own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pytest
from fhir.resources.R4B import get_fhir_model_class
from lxml import etree

from caseweave.shapes.fhir import fhir_shapes
from caseweave.targets.fhir.xml import to_xml
from tests.targets.canonical import canonical_xml
from tests.targets.studies import Convert

VALUE = re.compile(rb'"value":(-?[0-9][0-9.eE+-]*)')


def assert_equal(lines_by_type: Mapping[str, Iterable[bytes]]) -> int:
    """Compare resource by resource; returns how many."""
    count = 0
    for kind, lines in lines_by_type.items():
        model = get_fhir_model_class(kind)
        for line in lines:
            theirs = model.model_validate_json(line).model_dump_xml()
            assert canonical_xml(to_xml(line, fhir_shapes())) == canonical_xml(theirs)
            count += 1
    return count


def test_equal_to_fhir_resources(converted: Convert, study: str) -> None:
    """Of the large studies 30 patients."""
    assert assert_equal(converted(study).sampled) > 10


@pytest.mark.torture
def test_equal_to_fhir_resources_on_everything(converted: Convert, study: str) -> None:
    made = converted(study)
    assert assert_equal(made.lines) == len(made.resources)


def test_digits_are_those_of_the_json(converted: Convert, study: str) -> None:
    """Numbers as text, not as numbers: 4.30 stays 4.30 in both; by the library's own door."""
    fhir = converted(study).result.fhir
    for kind in fhir:
        for line, xml in zip(fhir.lines(kind), fhir.xml(kind), strict=True):
            written = sorted(one.decode() for one in VALUE.findall(line))
            root = etree.fromstring(xml)
            found = [str(one.get("value")) for one in root.iter("{http://hl7.org/fhir}value")]
            assert sorted(one for one in found if one in written) == written
