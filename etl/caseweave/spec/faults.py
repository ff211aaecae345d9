"""Faults that don't depend on each other are collected, and told at once."""

from __future__ import annotations

from types import TracebackType

from caseweave.errors import MappingError, MappingErrors


class Faults:
    """What is wrong in files, collected part by part.

    >>> faults = Faults()
    >>> for line in (3, 5):
    ...     with faults:
    ...         raise MappingError("a.yaml", line, "no type", way_out="Add one.")
    >>> [one.data["line"] for one in faults.found]
    [3, 5]

    A part ends at its first fault. `told` are the names of fields and statements that have one: that nobody knows them
    then is no fault of those who name them, and isn't kept.
    """

    def __init__(self) -> None:
        self.found: list[MappingError] = []
        self.told: set[str] = set()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if isinstance(error, MappingError):
            self.found.extend(one for one in error.each if not self._follows(one))
            return True
        return False

    def tell(self) -> None:
        """Raise what was found, if anything: MappingError for one fault, MappingErrors for several."""
        once = {(one.data["file"], one.data["line"], one.data["problem"]): one for one in self.found}
        if len(once) > 1:
            raise MappingErrors(once.values()) from None
        for one in once.values():
            raise one from None

    def _follows(self, error: MappingError) -> bool:
        name = error.data.get("name", "") if error.data.get("unknown", "").startswith(("field", "statement")) else ""
        return name in self.told or name.rpartition(".")[2] in self.told
