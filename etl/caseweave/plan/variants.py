"""Work once per distinct combination: facts that agree in some columns share the answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from caseweave.plan.facts import Indices

T = TypeVar("T")


def combine(columns: Sequence[Indices], size: int) -> tuple[NDArray[np.int64], Indices]:
    """Find the distinct combinations of several integer columns (values from -1 on).

    >>> combos, which = combine([np.array([1, 1, 2]), np.array([5, 5, 5])], 3)
    >>> combos.tolist(), which.tolist()
    ([[1, 5], [2, 5]], [0, 0, 1])

    Returns the combinations, one per line, and for each fact the line of its own.
    """
    which = np.zeros(size, dtype=np.int64)
    for column in columns:
        width = int(column.max(initial=0)) + 2
        which = _number(which * width + (column.astype(np.int64) + 1))
    count = int(which.max(initial=-1)) + 1
    first = np.zeros(count, dtype=np.int64)
    first[which[::-1]] = np.arange(size - 1, -1, -1)
    combos = np.empty((count, len(columns)), dtype=np.int64)
    for place, column in enumerate(columns):
        combos[:, place] = column[first]
    return combos, which.astype(np.int32)


def _number(mixed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number distinct values in their order; by a table where they are dense, by sorting where not."""
    span = int(mixed.max(initial=-1)) + 1
    if span > 4 * mixed.size + 65536:
        return np.unique(mixed, return_inverse=True)[1].reshape(-1).astype(np.int64)
    seen = np.zeros(span, dtype=np.int64)
    seen[mixed] = 1
    return (np.cumsum(seen) - 1)[mixed]


@dataclass
class OncePerValues(Generic[T]):
    """Answers kept for each list of distinct values: columns that share theirs, as most dates do, ask once.

    >>> kept, values = OncePerValues[int](), [3, 4]
    >>> [kept.get(values, "sum", lambda: sum(values)) for _ in range(2)]
    [7, 7]
    """

    answers: dict[tuple[int, Hashable], tuple[Sequence[object], T]] = field(default_factory=dict)

    def get(self, values: Sequence[object], question: Hashable, answer: Callable[[], T]) -> T:
        """The answer to a question about a list, which is kept with it, so that its id is nobody else's."""
        key = (id(values), question)
        if key not in self.answers:
            self.answers[key] = (values, answer())
        return self.answers[key][1]


def once_per_combination(columns: Sequence[Indices], size: int, answer: Callable[..., T]) -> tuple[list[T], Indices]:
    """Call `answer` with each distinct combination of codes; returns the answers and which fact has which."""
    combos, which = combine(columns, size)
    return [answer(*combo) for combo in combos.tolist()], which
