"""Wall-clock time by phase: phases exclude each other, so that they add up to the whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

OTHER = "other"
_process_is_counted = False


class Clock:
    """Seconds by phase since this clock was made.

    An inner phase stops the outer one: validation inside a fit counts as validation. The first clock of a
    process also counts what came before it, from the start of the process, as the phase ``import``:
    composing, checking and importing. Later clocks (jobs of a sweep in one process) do not.
    """

    def __init__(self) -> None:
        self._stack = [OTHER]
        self._mark = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._count_start_of_process()

    def _count_start_of_process(self) -> None:
        global _process_is_counted  # noqa: PLW0603 - a fact about the process
        if not _process_is_counted:
            _process_is_counted = True
            self._seconds["import"] = max(0.0, time.time() - psutil.Process().create_time())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time inside the ``with`` as ``name``, also when it ends with an error."""
        depth = self.enter(name)
        try:
            yield
        finally:
            self.leave(depth)

    def enter(self, name: str) -> int:
        """Begin a phase inside the present one; returns the depth to give to `leave`."""
        self._book()
        self._stack.append(name)
        return len(self._stack) - 1

    def leave(self, depth: int) -> None:
        """End the phase that `enter` began at ``depth``, and any left open inside it by an error."""
        self._book()
        del self._stack[max(1, depth) :]

    def add(self, seconds: dict[str, float]) -> None:
        """Add what earlier parts of the run took."""
        for name, value in seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + float(value)

    def seconds(self) -> dict[str, float]:
        """Seconds by phase until now, the open phase included."""
        self._book()
        return dict(self._seconds)

    def total(self) -> float:
        """All seconds until now."""
        return sum(self.seconds().values())

    def _book(self) -> None:
        now = time.monotonic()
        name = self._stack[-1]
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._mark
        self._mark = now
