"""Secrets in files: read only where their owner alone can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from caseweave.errors import UsageError


def read_secret(path: Path) -> str:
    """The secret in a file that only its owner can read; raises UsageError where others can, or it isn't there."""
    require_private(path)
    return path.read_text(encoding="utf-8").strip()


def require_private(path: Path) -> None:
    """Refuse a file of secrets that others than its owner may read."""
    try:
        mode = path.stat().st_mode
    except OSError:
        raise UsageError(f"The secret file {path} can't be read.", way_out="Look at its path and owner.") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"Others can read the secret file {path}.", way_out=f"chmod 600 {path}")
