"""The nearest right name to a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

MANY = 12


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The most similar of `names`, None where nothing is near; a transposed letter costs little."""
    best, score = None, cutoff
    for candidate in sorted(set(names)):
        ratio = _likeness(name, candidate)
        if len(name) >= 3 and candidate.lower().startswith(name.lower()):  # noqa: PLR2004 - an abbreviation
            ratio = max(ratio, cutoff + 0.05)
        if ratio > score:
            best, score = candidate, ratio
    return best


def by_likeness(name: str, names: Iterable[str]) -> list[str]:
    """All of `names`, the most similar first."""
    return sorted(names, key=lambda one: (-_likeness(name, one), one))


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def did_you_mean(name: str, names: Iterable[str], *, form: str = "{}") -> str:
    """A sentence that proposes the nearest name in `form`, else the first names there are."""
    names = sorted(set(names))
    found = nearest(name, names)
    if found is not None:
        return f"did you mean `{form.format(found)}`?"
    if not names:
        return ""
    shown = ", ".join(names[:MANY])
    return f"choose one of: {shown}{', ...' if len(names) > MANY else ''}"
