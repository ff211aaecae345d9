"""Foreign files are parsed in a child process: it may die, hang or swell, the caller gets a typed error.

A plain subprocess, not multiprocessing: that would import the caller's main module again, which a script
without a guard or a notebook doesn't survive. The child serves file after file until one of them kills it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from caseweave.errors import CaseweaveError, SourceDamaged, SourceError, SourceTooLarge
from caseweave.sources.jsonplan import JsonSheet
from caseweave.sources.limits import MEGABYTE, Limits
from caseweave.sources.wire import (
    Reading,
    Request,
    receive_answer,
    receive_request,
    send_answer,
    send_request,
)

_BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); import caseweave.sources.child as c; c.serve()"
_HELLO = b"\x06"
_OUT_OF_MEMORY = (b"memory allocation of", b"MemoryError", b"capacity overflow", b"bad_alloc")


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

    def read(self, path: Path, kind: str, password: str | None = None, sheets: tuple[JsonSheet, ...] = ()) -> Reading:
        """Read one file; raises a SourceError for everything that goes wrong with it."""
        process = self._running()
        seconds = self.limits.seconds_for(path.stat().st_size)
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        watch = threading.Timer(seconds, stop)
        watch.daemon = True
        watch.start()
        answer: Reading | CaseweaveError
        try:
            assert process.stdin is not None and process.stdout is not None  # both are pipes
            send_request(process.stdin, Request(str(path), kind, password, self.limits, sheets))
            answer = receive_answer(process.stdout)
        except (OSError, EOFError):
            answer = self._obituary(path.name, seconds, late.is_set())
        finally:
            watch.cancel()
            watch.join()  # no thread is left, so that a run may fork
        if isinstance(answer, CaseweaveError):
            raise answer
        return answer

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
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
            )
            self._greet(self._process)
        return self._process

    def _greet(self, process: subprocess.Popen[bytes]) -> None:
        # a child that can't start is our fault, and must not be blamed on the first file
        if process.stdout is None or process.stdout.read(1) != _HELLO:
            self.close()
            raise SourceError(
                sys.executable, "the process that reads files didn't start", way_out="Install caseweave again."
            )

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
            name,
            "the workbook breaks its own format and the reader gave up",
            way_out="Save it again in Excel.",
        )


def _needs_memory(name: str, limits: Limits) -> SourceTooLarge:
    return SourceTooLarge(
        name,
        f"reading it takes more than {limits.memory >> 20:,} MB of memory",
        way_out="Split it, or save it as csv.",
    )


def serve() -> None:
    """The child's own loop: requests come in, readings or typed errors go out."""
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not break the protocol
    from caseweave.sources.reading import read_file

    outgoing.write(_HELLO)
    outgoing.flush()
    while True:
        try:
            request = receive_request(incoming)
        except EOFError:
            return
        _limit_memory(request.limits.memory)
        send_answer(outgoing, _answer(request, read_file))


def _answer(
    request: Request,
    read_file: Callable[[Path, str, str | None, Limits, tuple[JsonSheet, ...]], Reading],
) -> Reading | SourceError:
    name = Path(request.path).name
    try:
        return read_file(Path(request.path), request.kind, request.password, request.limits, request.sheets)
    except SourceError as error:
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
        # a parser that dies leaves no image of what it read
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
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


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:
        return  # the other end is gone already
