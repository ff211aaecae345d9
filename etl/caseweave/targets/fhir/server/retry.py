"""When to try again: back-off with jitter, what the server asks for in Retry-After, and when to give up."""

from __future__ import annotations

import datetime
import email.utils
import math
import random
import threading
import time
from dataclasses import dataclass, field

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
# worth another try: the request, or the server, was only unlucky
TRANSIENT = frozenset({408, 429, 502, 503, 504})


def retry_after(header: str | None, now: float) -> float:
    """The seconds that a Retry-After header asks to wait: a number, or a date (RFC 9110, 10.2.3); 0 without one.

    >>> retry_after("7", 0.0), retry_after("Thu, 01 Jan 1970 00:00:09 GMT", 2.0), retry_after("soon", 0.0)
    (7.0, 7.0, 0.0)
    """
    if not header:
        return 0.0
    if (text := header.strip()).isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, moment.timestamp() - now)


@dataclass
class Patience:
    """The time that one piece of work has, and the pauses between its attempts.

    Arguments: `seconds` until it gives up; `stop` ends every pause at once.
    """

    seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    attempts: int = 0

    def __post_init__(self) -> None:
        self.end = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """How many seconds remain."""
        return self.end - time.monotonic()

    def pause(self, asked: float = 0.0, within: float = math.inf) -> bool:
        """Wait before another attempt; False where there is no time for it, without waiting.

        Arguments: `asked`, how long the server wants to be left alone; `within`, after how many of the seconds it ends
        sooner.
        """
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self.attempts)
        self.attempts += 1
        wait = max(asked, random.uniform(longest / 2, longest))
        left = min(self.left, within - (self.seconds - self.left))
        if wait >= left or self.stop.is_set():
            return False
        return not self.stop.wait(wait)
