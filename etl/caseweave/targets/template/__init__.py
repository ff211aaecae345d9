"""The Excel template of a study: made from the mapping, filled by a clinician, read back by header and label."""

from caseweave.targets.template.checks import Check
from caseweave.targets.template.example import example_of
from caseweave.targets.template.write import Template, write_template

__all__ = ["Check", "Template", "example_of", "write_template"]
