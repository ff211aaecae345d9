"""Checks and rules as Great Expectations: planned without it, run by it, written as suites for those who have it."""
