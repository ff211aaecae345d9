"""The tree of errors: each carries its data, says whether a retry helps, and ends with the way out.

CaseweaveError
├── UsageError            exit 2  the command, an option or a setting is wrong; nothing was done
│   ├── MappingError      exit 2  a study, pattern, value set or rule is wrong; names file and line
│   │   └── MappingErrors         several things at once
│   └── UnknownName               a table or resource type that doesn't exist was asked for; a KeyError too
├── SourceError           exit 2  a file cannot be read; names the file and the reason
│   ├── SourceUnsupported         not a format Caseweave reads
│   ├── SourceDamaged             it claims a format but breaks it
│   ├── SourceTooLarge            larger than the limits allow
│   └── SourceProtected           needs a password, or the password is wrong
├── TargetError           exit 3  a FHIR server, database or PACS failed; `deliver` resumes
└── Refusal               exit 4  done as asked, it would harm data
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

MOST_TOLD = 50


class CaseweaveError(Exception):
    """Base of everything Caseweave raises on purpose.

    >>> str(CaseweaveError("The key file is missing.", way_out="Give one with --key FILE."))
    'The key file is missing. Give one with --key FILE.'

    Arguments: `message`, one sentence; `way_out`, what the reader can do now; `data`, what a program may need.
    """

    exit_code: ClassVar[int] = 2
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, way_out: str, **data: Any) -> None:
        super().__init__(message, way_out)
        self.message = message
        self.way_out = way_out
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} {self.way_out}"

    def __reduce__(self) -> tuple[Any, ...]:
        # keyword-only arguments do not survive the default pickling, and readers raise in a child process
        return (_rebuild, (type(self), self.message, self.way_out, self.data))


def _rebuild(kind: type[CaseweaveError], message: str, way_out: str, data: dict[str, Any]) -> CaseweaveError:
    error = CaseweaveError.__new__(kind)
    CaseweaveError.__init__(error, message, way_out=way_out, **data)
    return error


class UsageError(CaseweaveError):
    """The command, an option or a setting is wrong; nothing was done."""


class MappingError(UsageError):
    """A study, pattern, value set or rule is wrong.

    >>> str(MappingError("breast/study.yaml", 3, "unknown key 'sheet'", way_out="Valid here: sheets, title."))
    "breast/study.yaml:3: unknown key 'sheet'. Valid here: sheets, title."
    """

    def __init__(self, file: str, line: int, problem: str, *, way_out: str, **data: Any) -> None:
        super().__init__(f"{file}:{line}: {problem}.", way_out=way_out, file=file, line=line, problem=problem, **data)

    @property
    def each(self) -> tuple[MappingError, ...]:
        """The things that are wrong, one by one."""
        return (self,)


class MappingErrors(MappingError):
    """Several things are wrong; told at once, by file and line.

    >>> typo = MappingError("a.yaml", 3, "unknown key 'tpye'", way_out="Did you mean 'type'?")
    >>> print(MappingErrors([typo, MappingError("a.yaml", 2, "a field without a type", way_out="Add one.")]))
    2 faults:
    a.yaml:2: a field without a type. Add one.
    a.yaml:3: unknown key 'tpye'. Did you mean 'type'?
    Mend each as it says.
    """

    def __init__(self, errors: Iterable[MappingError]) -> None:
        each = tuple(sorted(errors, key=lambda one: (one.data["file"], one.data["line"])))
        told = [f"{len(each)} faults:", *map(str, each[:MOST_TOLD])]
        told += [f"... and {len(each) - MOST_TOLD} more."] if len(each) > MOST_TOLD else []
        first = each[0].data
        CaseweaveError.__init__(
            self,
            "\n".join(told),
            way_out="Mend each as it says.",
            each=each,
            **{key: first[key] for key in ("file", "line", "problem")},
        )

    def __str__(self) -> str:
        return f"{self.message}\n{self.way_out}"

    @property
    def each(self) -> tuple[MappingError, ...]:
        """The things that are wrong, one by one."""
        found: tuple[MappingError, ...] = self.data["each"]
        return found


class UnknownName(UsageError, KeyError):
    """A table or resource type that doesn't exist was asked for; a KeyError too, as it is of any mapping."""


class SourceError(CaseweaveError):
    """A file cannot be read; names the file and the reason.

    >>> str(SourceDamaged("a.xlsx", "the zip directory is cut off", way_out="Save it again in Excel."))
    'a.xlsx: the zip directory is cut off. Save it again in Excel.'
    """

    def __init__(self, file: str, reason: str, *, way_out: str, **data: Any) -> None:
        super().__init__(f"{file}: {reason}.", way_out=way_out, file=file, reason=reason, **data)


class SourceUnsupported(SourceError):
    """Not a format Caseweave reads."""


class SourceDamaged(SourceError):
    """It claims a format but breaks it."""


class SourceTooLarge(SourceError):
    """Larger than the limits allow."""


class SourceProtected(SourceError):
    """Needs a password, or the password is wrong."""


class TargetError(CaseweaveError):
    """A FHIR server, database or PACS failed; `caseweave deliver` resumes."""

    exit_code = 3
    retry = True


class Refusal(CaseweaveError):
    """Done as asked, it would harm data."""

    exit_code = 4
