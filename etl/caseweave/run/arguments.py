"""What a script hands over, looked at first: a wrong argument is told by its name, not its value."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from caseweave.errors import UsageError

# what can be iterated over and is no list of paths: an open file gives lines, a DataFrame its columns
_NO_LIST = ("read", "columns", "keys")
_WRITE_IT = "Write it to a file, .xlsx or .csv, and give the path: each finding names its file and cell."


def a_path(given: object, name: str) -> Path:
    """A path of the user's, whether or not anything is there.

    >>> a_path("site-a.xlsx", "sources").name
    'site-a.xlsx'

    Raises UsageError for what is no path, for an empty text, which would be the current folder, and for a path that the
    system doesn't take.
    """
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str):
        raise _wrong(name, given, "a path", _WRITE_IT if name == "sources" else "Give text or a pathlib.Path.")
    if not text:
        raise UsageError(f"`{name}` is an empty text.", way_out="Look at the variable that it comes from.")
    path = Path(text)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path  # told, or made, by whoever needs it
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"`{name}` is a path that can't be looked at: {reason}.", way_out="Check it.") from error
    return path


def paths(given: object, name: str) -> list[Path]:
    """One path or several.

    >>> [path.name for path in paths(("site-a.xlsx", Path("site-b.xlsx")), "sources")]
    ['site-a.xlsx', 'site-b.xlsx']

    Raises UsageError, as `a_path` does, and for an open file or a table.
    """
    if isinstance(given, str | bytes | os.PathLike):
        return [a_path(given, name)]
    if not isinstance(given, Iterable) or any(hasattr(given, one) for one in _NO_LIST):
        raise _wrong(name, given, "a path or several", _WRITE_IT if name == "sources" else "Give a list of paths.")
    return [a_path(one, name) for one in given]


def a_text(given: object, name: str, *, empty: bool = False) -> str:
    """A text; raises UsageError for anything else, and for an empty one unless `empty` allows it."""
    if not isinstance(given, str):
        raise _wrong(name, given, "text", "Give a str.")
    if not given and not empty:
        raise UsageError(f"`{name}` is an empty text.", way_out="Look at the variable that it comes from.")
    return given


def a_day(given: object, name: str) -> datetime.date:
    """A day; of a moment, its day. Raises UsageError for anything else."""
    if isinstance(given, datetime.datetime):
        return a_moment(given, name).date()
    if not isinstance(given, datetime.date):
        raise _wrong(name, given, "a day", "Give a datetime.date.")
    return given


def a_moment(given: object, name: str) -> datetime.datetime:
    """A moment; raises UsageError for anything else, pandas' NaT too."""
    if not isinstance(given, datetime.datetime) or given != given:  # NaT differs from itself
        raise _wrong(name, given, "a moment", "Give a datetime.datetime, best with its time zone.")
    return given


def switches(given: Mapping[str, object]) -> None:
    """Raise UsageError where a switch is neither True nor False: the text "no" would count as yes."""
    for name, one in given.items():
        if not isinstance(one, bool):
            raise _wrong(name, one, "True or False", "Give a bool.")


def one_of(given: object, name: str, known: Sequence[Any]) -> None:
    """Raise UsageError where an argument isn't one of a few."""
    if not any(given == one and type(given) is type(one) for one in known):
        raise UsageError(f"`{name}` is none of {', '.join(map(repr, known))}.", way_out="Give one of these.")


def _wrong(name: str, given: object, wanted: str, way_out: str) -> UsageError:
    kind = type(given).__name__
    return UsageError(f"`{name}` must be {wanted}, and is of type {kind}.", way_out=way_out, argument=name, type=kind)
