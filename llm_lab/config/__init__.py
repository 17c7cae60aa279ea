"""Configuration: words, composition, the check, and the one place that builds what a config names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_lab.config.builder import build, build_all

__all__ = ["build", "build_all"]


def __getattr__(name: str) -> Any:
    """Import the builder only when it is asked for: a command that composes must not wait for what builds.

    A module of this package must not be called as one of these names, or importing it would hide the function.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_lab.config import builder

    return getattr(builder, name)
