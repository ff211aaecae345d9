"""Foreign files are parsed in a child process: it may die, hang or swell, the caller gets a typed error.

A plain subprocess, not multiprocessing: that would import the caller's main module again, which a script without
a guard or a notebook doesn't survive. The child serves file after file until one of them kills it.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from caseweave.errors import CaseweaveError, SourceDamaged, SourceTooLarge
from caseweave.sources.limits import MEGABYTE, Limits
from caseweave.values.grid import Grid

_BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from caseweave.sources.child import serve; serve()"
_LENGTH = struct.Struct("<Q")
_OUT_OF_MEMORY = (b"memory allocation of", b"MemoryError", b"capacity overflow", b"bad_alloc")


@dataclass(frozen=True, slots=True)
class Request:
    """What the child is to read."""

    path: str
    kind: str
    password: str | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class Reading:
    """What the child read; `modified` is ISO text; `memory` the peak of the child in bytes, 0 where unknown."""

    kind: str
    modified: str | None
    grids: tuple[Grid, ...]
    notes: tuple[str, ...]
    memory: int = 0


class Reader:
    """A child process that reads files, restarted when one of them has killed it.

    >>> with Reader() as reader:
    ...     pass

    Arguments: the limits; memory is limited where the platform knows how (`resource`), time everywhere.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, path: Path, kind: str, password: str | None = None) -> Reading:
        """Read one file; raises a SourceError for everything that goes wrong with it."""
        process = self._running()
        seconds = self.limits.seconds_for(path.stat().st_size)
        late = threading.Event()
        watch = threading.Timer(seconds, lambda: (late.set(), process.kill()))
        watch.daemon = True
        watch.start()
        try:
            _send(process.stdin, Request(str(path), kind, password, self.limits))
            answer = _receive(process.stdout)
        except (OSError, EOFError):
            answer = self._obituary(path.name, seconds, late.is_set())
        finally:
            watch.cancel()
        if isinstance(answer, CaseweaveError):
            raise answer
        reading: Reading = answer
        return reading

    def close(self) -> None:
        """End the child; nothing is left running."""
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    _close(stream)
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._complaints is not None:
            self._complaints.close()
            self._complaints = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            # what a dying parser writes may quote the document: it is looked at and thrown away
            self._complaints = tempfile.TemporaryFile()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
            )
        return self._process

    def _obituary(self, name: str, seconds: float, late: bool) -> CaseweaveError:
        complaints = b""
        if self._process is not None and self._complaints is not None:
            self._process.wait()
            self._complaints.seek(0)
            complaints = self._complaints.read(MEGABYTE)
        code = self._process.returncode if self._process is not None else None
        self.close()
        if late:
            return SourceTooLarge(name, f"reading it took more than {seconds:.0f} s", way_out="Split it or tidy it up.")
        if any(sign in complaints for sign in _OUT_OF_MEMORY) or code == -getattr(signal, "SIGKILL", 9):
            return _needs_memory(name, self.limits)
        return SourceDamaged(
            name, "the workbook breaks its own format and the reader gave up", way_out="Save it again in Excel."
        )


def _needs_memory(name: str, limits: Limits) -> SourceTooLarge:
    return SourceTooLarge(
        name, f"reading it takes more than {limits.memory >> 20:,} MB of memory", way_out="Split it, or save it as csv."
    )


def serve() -> None:
    """The child's own loop: requests come in, readings or typed errors go out."""
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break the protocol
    while True:
        try:
            request: Request = _receive(incoming)
        except EOFError:
            return
        _limit_memory(request.limits.memory)
        _send(outgoing, _answer(request))


def _answer(request: Request) -> Reading | CaseweaveError:
    from caseweave.sources.reading import read_file

    name = Path(request.path).name
    try:
        return read_file(Path(request.path), request.kind, request.password, request.limits)
    except CaseweaveError as error:
        return error
    except MemoryError:
        return _needs_memory(name, request.limits)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  a Rust panic is a BaseException, and no foreign file may crash us
        return SourceDamaged(
            name, f"the reader gave up on it ({type(error).__name__})", way_out="Open and save it in Excel."
        )


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (ValueError, OSError, AttributeError):
        return  # macOS refuses RLIMIT_AS; the scan before the parsing still stands


def peak_memory() -> int:
    """The most memory this process ever held, in bytes; 0 where the platform doesn't tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def _send(stream: IO[bytes] | None, message: Any) -> None:
    if stream is None:
        raise EOFError
    payload = pickle.dumps(message, protocol=5)
    stream.write(_LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def _receive(stream: IO[bytes] | None) -> Any:
    head = stream.read(_LENGTH.size) if stream is not None else b""
    if stream is None or len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    payload = stream.read(length)
    if len(payload) < length:
        raise EOFError
    return pickle.loads(payload)  # noqa: S301  both ends are this module


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        return  # the other end is gone already
