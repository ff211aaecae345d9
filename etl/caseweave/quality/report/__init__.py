"""The report: how complete and coherent a study's forms are, as one page that needs nothing else."""

from caseweave.quality.report.measure import Measures, measure
from caseweave.quality.report.page import page

__all__ = ["Measures", "measure", "page"]
