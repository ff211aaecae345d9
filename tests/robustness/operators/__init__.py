"""The table of faults: every way in which the workbooks of these tests are spoilt."""

from __future__ import annotations

from tests.robustness.operators import cells, codes, dates, files, identity, layout, numbers, text
from tests.robustness.operators.table import Operator

GROUPS: dict[str, tuple[Operator, ...]] = {
    "layout": layout.OPERATORS,
    "text": text.OPERATORS,
    "numbers": numbers.OPERATORS,
    "dates": dates.OPERATORS,
    "identity": identity.OPERATORS,
    "codes": codes.OPERATORS,
    "cells": cells.OPERATORS,
    "files": files.OPERATORS,
}
OPERATORS = tuple(one for operators in GROUPS.values() for one in operators)
