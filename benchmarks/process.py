"""A command in a process of its own: its time on the clock and in CPU, the memory that it and its children hold."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

WATCHED_EVERY = 0.1


@dataclass
class Memory:
    """The most that was held, in MB: by any one process, and by all together, shared pages counted once (PSS)."""

    one: int = 0
    together: int = 0


@dataclass(frozen=True)
class Spent:
    """What a command took; `output` is what it printed."""

    wall: float
    cpu: float
    memory: Memory
    output: str = field(repr=False)


def spend(command: Sequence[str | Path], *, folder: Path | None = None) -> Spent:
    """Run a command; raises CalledProcessError where it fails."""
    import resource

    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    memory, ended = Memory(), threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, memory, ended))
    watch.start()
    output, complaint = process.communicate()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    ended.set()
    watch.join()
    if process.returncode:
        sys.stderr.write(complaint)
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(wall, cpu, memory, output)


def _watch(process: int, memory: Memory, ended: threading.Event) -> None:
    """Look at a process and its children again and again, where Linux tells of them."""
    while not ended.wait(WATCHED_EVERY):
        held = [found for one in _family(process) if (found := _held(one))]
        memory.one = max(memory.one, *(rss for rss, _ in held), 0)
        memory.together = max(memory.together, sum(pss for _, pss in held))


def _family(process: int) -> list[int]:
    found = [process]
    with contextlib.suppress(OSError):  # it ended while we looked
        for task in os.listdir(f"/proc/{process}/task"):
            children = Path(f"/proc/{process}/task/{task}/children").read_text()
            found += [one for child in children.split() for one in _family(int(child))]
    return found


def _held(process: int) -> tuple[int, int] | None:
    """Resident and proportional size in MB."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    sizes = {line.partition(":")[0]: int(line.split()[1]) >> 10 for line in lines if line.startswith(("Rss", "Pss:"))}
    return (sizes["Rss"], sizes["Pss"]) if "Pss" in sizes else None
