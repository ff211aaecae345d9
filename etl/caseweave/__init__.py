"""Caseweave: cancer case report forms into FHIR resources and OMOP rows, from one mapping.

>>> import caseweave
>>> caseweave.load_study("breast").name
'breast'
"""

from __future__ import annotations

import importlib
import typing

from caseweave.version import __version__ as __version__

if typing.TYPE_CHECKING:
    from caseweave.api import Delivery as Delivery
    from caseweave.api import Result as Result
    from caseweave.api import Study as Study
    from caseweave.api import list_studies as list_studies
    from caseweave.api import load_study as load_study
    from caseweave.errors import CaseweaveError as CaseweaveError

# name -> module; imported on use, since the command line needs none of them to show its help
_HOME = {
    "CaseweaveError": "caseweave.errors",
    "Delivery": "caseweave.api",
    "Result": "caseweave.api",
    "Study": "caseweave.api",
    "list_studies": "caseweave.api",
    "load_study": "caseweave.api",
}
__all__ = ["CaseweaveError", "Delivery", "Result", "Study", "__version__", "list_studies", "load_study"]


def __getattr__(name: str) -> typing.Any:
    if name not in _HOME:
        raise AttributeError(f"module 'caseweave' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
