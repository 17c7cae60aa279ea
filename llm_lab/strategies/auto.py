"""The default: Lightning chooses."""

from __future__ import annotations


def auto() -> str:
    """Return the name with which Lightning's Trainer picks a single-device strategy by itself."""
    return "auto"
