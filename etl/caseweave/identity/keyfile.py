"""The project key: 32 random bytes in a file of the user's own; every keyed id of a project derives from it.

The key never enters a workspace or a target; they keep its check value, which says whether two keys are equal
and nothing else. Losing the key means that a resubmission can no longer be recognised, so nothing here ever
replaces one.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from caseweave.errors import Refusal, UsageError

KEY_BYTES = 32
ENVIRONMENT = "CASEWEAVE_KEY_FILE"
HEADER = "caseweave project key 1: keep it secret, keep a copy, keep it out of the workspace"
_CHECK_CONSTANT = b"caseweave key check 1"
_PROJECT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EXDEV}
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """The secret of one project; its text never appears in a repr, a message or an output.

    >>> key = ProjectKey("breast", bytes(32))
    >>> key
    ProjectKey(project='breast', path=None, created=False)
    >>> key.check_value
    'miiou6srklheyudh'

    Arguments: `project`; `material`, 32 bytes; `path`, where it was read; `created`, whether this call made
    it.
    """

    project: str
    material: bytes = field(repr=False)
    path: Path | None = None
    created: bool = False

    @property
    def check_value(self) -> str:
        """What workspaces and targets keep: a keyed hash of a constant, 16 base32 characters (80 bits)."""
        return base64.b32encode(self.subkey("check", _CHECK_CONSTANT)).decode("ascii").lower()[:16]

    def subkey(self, purpose: str, context: bytes = b"") -> bytes:
        """Derive the 32 bytes for one purpose: no two uses of the key can be played against each other.

        >>> len(ProjectKey("breast", bytes(32)).subkey("subject"))
        32
        """
        label = f"caseweave/1/{len(purpose)}:{purpose}".encode("ascii")
        return hmac.new(self.material, label + context, hashlib.sha512).digest()[:32]


def key_path(project: str, key_file: Path | None = None) -> Path:
    """Say where a project's key lies: `--key FILE`, else CASEWEAVE_KEY_FILE, else the user's own folder.

    >>> key_path("breast", Path("my.key")).name
    'my.key'

    Raises UsageError when the project's name can't be the name of a file.
    """
    if not _PROJECT_NAME.fullmatch(project):
        raise UsageError(
            "The project's name can't be the name of a key file.",
            way_out="Use letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit.",
        )
    named = key_file or os.environ.get(ENVIRONMENT)
    return Path(named).expanduser() if named else config_folder() / "keys" / f"{project}.key"


def config_folder() -> Path:
    """Name Caseweave's folder in the user's configuration, as the platform wants it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "caseweave"


def project_key(
    project: str, *, key_file: Path | None = None, known: str | None = None, workspace: Path | None = None
) -> ProjectKey:
    """Read the key of a project, or make it on the project's first use.

    >>> project_key("demo", key_file=Path("demo.key")).created  # doctest: +SKIP
    True

    Arguments: `key_file` from `--key`; `known`, the check value that the workspace or a target keeps (with
    it, a key is never made); `workspace`, which must not hold the key. Raises Refusal for a missing key of a
    known project, another key than the known one, a key inside the workspace or one that others may read;
    UsageError for a damaged file.
    """
    path = key_path(project, key_file)
    if workspace is not None and path.resolve().is_relative_to(workspace.resolve()):
        raise Refusal(
            "The key file lies inside the workspace, which is what gets shared.",
            way_out="Move it outside and name it with --key FILE.",
        )
    created = False
    if not path.exists():
        if known is not None:
            raise Refusal(
                f"The project '{project}' has data already, made with a key, and there is no key at {path}.",
                way_out="Name the project's key file with --key FILE, or restore it from its copy.",
            )
        created = _create(path, project)
    key = ProjectKey(project, _read(path), path, created)
    if known is not None:
        require_same_key(key, known)
    return key


def require_same_key(key: ProjectKey, known: str) -> None:
    """Refuse another key than the one a workspace or a target was made with.

    >>> require_same_key(ProjectKey("breast", bytes(32)), "miiou6srklheyudh")

    Raises Refusal (exit code 4): with another key every patient would be a new one.
    """
    if not hmac.compare_digest(key.check_value, known):
        raise Refusal(
            f"This key ({key.check_value}) is not the one that the project's data were made with ({known}).",
            way_out="Name the right key file with --key FILE; to start anew, use another workspace.",
        )


def temporary_key(project: str) -> ProjectKey:
    """Make a key that lives in memory only, for a conversion whose ids nobody needs to recognise later.

    >>> temporary_key("demo").path is None
    True
    """
    return ProjectKey(project, secrets.token_bytes(KEY_BYTES), created=True)


def _create(path: Path, project: str) -> bool:
    """Write a new key, false when another process was faster; half a key is never visible under its name."""
    key = ProjectKey(project, secrets.token_bytes(KEY_BYTES))
    text = f"{HEADER}\nproject {project}\ncheck {key.check_value}\nkey {key.material.hex()}\n"
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return _publish(draft, path)
    except OSError as error:
        raise UsageError(
            f"The key file {path} can't be written: {error.strerror}.",
            way_out="Name another place with --key FILE.",
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # published by renaming, or never made
            draft.unlink()


def _publish(draft: Path, path: Path) -> bool:
    """Give the draft its name unless the name is taken: a key is never overwritten."""
    try:
        if sys.platform == "win32":
            os.rename(draft, path)  # refuses a taken name there, and only there
        else:
            _link(draft, path)
    except FileExistsError:
        return False
    return True


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # a file system without hard links: the name is still taken exclusively, only not all at once
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(draft.read_bytes())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            _refuse_open_to_others(path, os.fstat(file.fileno()))
            lines = file.read(4096).decode("ascii", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(
            f"The key file {path} can't be read: {error.strerror}.", way_out="Name another with --key FILE."
        ) from error
    entries = dict(line.split(" ", 1) for line in lines[1:] if " " in line)
    with contextlib.suppress(ValueError):
        material = bytes.fromhex(entries.get("key", ""))
        check = ProjectKey("", material).check_value
        if lines[:1] == [HEADER] and len(material) == KEY_BYTES and entries.get("check") == check:
            return material
    raise UsageError(
        f"{path} is not a Caseweave key file, or it was damaged.",
        way_out="Restore it from its copy, or name another with --key FILE.",
    )


def _refuse_open_to_others(path: Path, status: os.stat_result) -> None:
    # Windows has no such bits: there the user's profile folder is what protects the file
    if os.name == "posix" and status.st_mode & _OTHERS:
        raise Refusal(f"Others than the owner may use the key file {path}.", way_out=f"Run: chmod 600 {path}")
