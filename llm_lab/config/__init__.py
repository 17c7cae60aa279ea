"""Configuration: words, composition, the check, and the one place that builds what a config names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_lab.config.build import build, build_all
    from llm_lab.config.check import check, faults_of
    from llm_lab.config.compose import Composed, compose
    from llm_lab.config.fault import Fault, FaultsError, Origin
    from llm_lab.config.run_hash import run_hash, run_hash_of

_HOMES = {
    "build": "build",
    "build_all": "build",
    "check": "check",
    "faults_of": "check",
    "compose": "compose",
    "Composed": "compose",
    "Fault": "fault",
    "FaultsError": "fault",
    "Origin": "fault",
    "run_hash": "run_hash",
    "run_hash_of": "run_hash",
}
__all__ = [
    "Composed", "Fault", "FaultsError", "Origin", "build", "build_all", "check", "compose", "faults_of", "run_hash",
    "run_hash_of",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: a command that composes must not wait for what builds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
