"""Secrets in files: read only where their owner alone can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from caseweave.errors import UsageError


def read_secret(path: Path) -> str:
    """The secret in a file that only its owner can read; raises UsageError where others can, or it isn't there."""
    require_private(path)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        # somebody else's, or the folder that Docker makes where the file to be mounted isn't there
        raise _unreadable(path) from None


def require_private(path: Path) -> None:
    """Refuse a file of secrets that others than its owner may read."""
    try:
        mode = path.stat().st_mode
    except OSError:
        raise _unreadable(path) from None
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"Others can read the secret file {path}.", way_out=f"chmod 600 {path}")


def _unreadable(path: Path) -> UsageError:
    user = f" to user {os.getuid()}" if hasattr(os, "getuid") else ""
    return UsageError(f"The secret file {path} can't be read.", way_out=f"Give it{user}, with mode 0600.")
