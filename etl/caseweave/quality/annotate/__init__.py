"""A workbook with its problems marked in the cells: the clinician's own file, patched, never rewritten."""

from caseweave.quality.annotate.annotate import annotate
from caseweave.quality.annotate.fresh import fresh_workbook
from caseweave.quality.annotate.marks import CLOSED, NEW, PROPOSED, STATUSES, UPDATED, Mark, Query, Unpatchable

__all__ = [
    "CLOSED",
    "NEW",
    "PROPOSED",
    "STATUSES",
    "UPDATED",
    "Mark",
    "Query",
    "Unpatchable",
    "annotate",
    "fresh_workbook",
]
