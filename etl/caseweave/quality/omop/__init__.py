"""What an OMOP database is asked, and what it answers."""

from caseweave.quality.omop.ask import Ask, check_database
from caseweave.quality.omop.models import STATUSES, Check, Result, Summary, summary
from caseweave.quality.omop.suite import omop_suite

__all__ = ["STATUSES", "Ask", "Check", "Result", "Summary", "check_database", "omop_suite", "summary"]
