"""Numba under a type: compiled once, kept on disk, free of the interpreter's lock."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Machine code of `function`, cached beside its file; several threads may run it at once."""
    return cast("Callable[P, R]", njit(cache=True, nogil=True)(function))
