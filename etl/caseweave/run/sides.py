"""Two pieces of work side by side on two cores, where this process may fork; one after the other elsewhere."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def side_by_side(aside: Callable[[], S], here: Callable[[], T]) -> tuple[S, T]:
    """Run `aside` in a forked child, which sees the facts without a copy, and `here` in this process.

    >>> side_by_side(lambda: 1, lambda: 2)
    (1, 2)

    What `aside` returns must be small: it comes back pickled. Raises what either raises, this process's own first.
    """
    # a script's other threads may hold locks, which a forked child would wait for without end
    if not hasattr(os, "fork") or (os.cpu_count() or 1) < 2 or len(sys._current_frames()) > 1:
        return aside(), here()
    reading, writing = os.pipe()
    # what exists by now the collector leaves alone: looking it through would copy the pages that both share
    gc.freeze()
    with warnings.catch_warnings():
        # Python 3.12 warns of native threads of libraries too, which wait for work and hold nothing
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(writing, aside)
    os.close(writing)
    try:
        mine = here()
    finally:
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        gc.unfreeze()
    if not data:
        raise MemoryError("the process beside this one ended without an answer")
    outcome, error = pickle.loads(data)  # noqa: S301  our own child wrote it
    if error is not None:
        raise error
    return outcome, mine


def _answer(writing: int, work: Callable[[], object]) -> None:
    try:
        try:
            answer: tuple[object, BaseException | None] = (work(), None)
        except BaseException as error:  # noqa: BLE001  it is raised again in the parent
            answer = (None, error)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
    finally:
        os._exit(0)  # whatever happened: the caller's stack is the parent's to unwind, which misses the answer
