"""Waiting for what other processes do: a condition and a bound, never a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil


def until(condition: Callable[[], object], seconds: float, otherwise: str) -> None:
    """Return once the condition holds.

    Raises:
        TimeoutError: it does not within so many seconds.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{otherwise} (waited {seconds:g} s)")
        time.sleep(0.05)


def running(mark: str) -> list[psutil.Process]:
    """Processes that have `mark` in their environment, which children inherit."""
    found = []
    for process in psutil.process_iter(["environ", "status"]):
        words: Iterable[str] = (process.info["environ"] or {}).values()
        if process.info["status"] != psutil.STATUS_ZOMBIE and mark in words:
            found.append(process)
    return found


def listening(mark: str) -> set[str]:
    """Addresses at which processes with `mark` in their environment listen."""
    found = set()
    for process in running(mark):
        with suppress(psutil.NoSuchProcess):
            connections = process.net_connections("tcp")
            found |= {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
    return found
