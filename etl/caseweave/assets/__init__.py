"""Where the declarative folders are: at the root of the source tree, or inside the installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from caseweave.errors import UsageError

Folder = Literal["mappings", "vocabularies", "validators"]

_PACKAGE = Path(__file__).resolve().parent.parent


def data_path(folder: Folder) -> Path:
    """Find one of the folders that hold what Caseweave knows, as files.

    >>> (data_path("vocabularies") / "systems.yaml").is_file()
    True

    Arguments: `folder`, its name. Raises UsageError where the installation lacks it.
    """
    for place in (_PACKAGE / "_data" / folder, _PACKAGE.parent.parent / folder):
        if place.is_dir():
            return place
    raise UsageError(
        f"This installation of Caseweave has no folder {folder!r}.",
        way_out="Install the wheel again, or run from a complete copy of the repository.",
        folder=folder,
    )
