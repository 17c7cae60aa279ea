"""Checks of settings: one line that names the key, where a value cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from llm_lab.data.source import nearest
from llm_lab.errors import ConfigError


def check_number(name: str, value: Any, low: float, high: float = math.inf, *, whole: bool = False) -> None:
    """Refuse what is no number, or one out of bounds.

    Raises:
        ConfigError: it is.
    """
    fits = isinstance(value, int if whole else Real) and not isinstance(value, bool)
    if not fits or not low <= value <= high:
        bounds = f"of at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise ConfigError(f"{name}: a {'whole ' if whole else ''}number {bounds} is wanted, found {value!r}")


def numbers(name: str, values: Any, count: int, low: float, high: float, *, whole: bool = False) -> list[Any]:
    """So many numbers, where one may stand for all.

    Raises:
        ConfigError: there are others, or one is out of bounds.
    """
    listed = list(values) if isinstance(values, list | tuple) else [values]
    if len(listed) not in {1, count}:
        raise ConfigError(f"{name}: one number or {count} are wanted, found {values!r}")
    for value in listed:
        check_number(name, value, low, high, whole=whole)
    return listed * count if len(listed) == 1 else listed


def check_word(name: str, value: Any, words: Sequence[str]) -> None:
    """Refuse a word that is not among the known ones, and tell the nearest.

    Raises:
        ConfigError: it is not.
    """
    if value not in words:
        raise ConfigError(f"{name}: unknown word {value!r}{nearest(str(value), words)}")
