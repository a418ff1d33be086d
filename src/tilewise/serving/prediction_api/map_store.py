"""Maps in memory under names that nobody guesses, for a while."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable


class MapStore:
    """Pictures by a random name; the oldest give way where memory is short.

    Args:
        max_bytes: of all pictures together.
        seconds: how long a picture is there.
        clock: seconds that only grow.
    """

    def __init__(self, max_bytes: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._pictures: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._num_bytes = 0

    def add(self, picture: bytes) -> str | None:
        """Store a picture and return its name; None where it alone is more than the store may hold."""
        self._drop_expired()
        if len(picture) > self._max_bytes:
            return None
        while self._num_bytes + len(picture) > self._max_bytes:
            self._drop_oldest()
        name = secrets.token_urlsafe(24)
        self._pictures[name] = (self._clock() + self.seconds, picture)
        self._num_bytes += len(picture)
        return name

    def get(self, name: str) -> bytes | None:
        """The picture of a name; None where there is none, or no longer."""
        self._drop_expired()
        _, picture = self._pictures.get(name, (0.0, None))
        return picture

    @property
    def num_bytes(self) -> int:
        """Of all pictures together."""
        return self._num_bytes

    def _drop_expired(self) -> None:
        now = self._clock()
        while self._pictures and next(iter(self._pictures.values()))[0] <= now:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, (_, picture) = self._pictures.popitem(last=False)
        self._num_bytes -= len(picture)
