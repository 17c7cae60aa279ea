"""The nearest right thing, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, options: Iterable[str], *, count: int = 3) -> list[str]:
    """The options most like `word`, best first; those with the same last path segment come before others."""
    known = sorted(set(options))
    tail = word.rpartition("/")[2]
    same_tail = [option for option in known if tail and option.rpartition("/")[2] == tail]
    close = difflib.get_close_matches(word, known, n=count, cutoff=0.4)
    return list(dict.fromkeys(same_tail + close))[:count]


def proposal(word: str, options: Iterable[str]) -> str:
    """`; nearest: a, b` to end a message with, or nothing where nothing is near."""
    found = nearest(word, options)
    return f"; nearest: {', '.join(found)}" if found else ""
