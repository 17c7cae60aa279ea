"""The entity that a text means, or the labels nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llm_lab.errors import DataError

NEAR = 60.0  # of 100: below this a label is not like the text
SHOWN = 3


class Nearest:
    """Finds entities by label and alias.

    Args:
        entities: identifier -> how often it stands in the graph; of several with one label the first in this wins.
        aliases: (text, identifier).
    """

    def __init__(self, *, entities: Mapping[str, int], aliases: Iterable[tuple[str, str]]) -> None:
        self.by_text: dict[str, list[str]] = {}
        for text, name in aliases:
            self.by_text.setdefault(text.casefold(), []).append(name)
        for name in entities:
            self.by_text.setdefault(name.casefold(), []).append(name)
        for names in self.by_text.values():
            names.sort(key=lambda name: (-entities.get(name, 0), name))

    def find(self, text: str) -> str:
        """The identifier; raises DataError with the nearest labels where there is none."""
        if found := self.by_text.get(text.casefold()):
            return found[0]
        near = [f"`{label}` ({self.by_text[label][0]})" for label, _ in self.near(text, count=SHOWN)]
        raise DataError(
            f"`{text}` is not in the graph" + (f"; nearest labels: {', '.join(near)}" if near else "")
        )

    def near(self, text: str, *, count: int, least: float = NEAR) -> list[tuple[str, float]]:
        """Labels like the text, best first, with their likeness from 0 to 100 (by edits and by words)."""
        from rapidfuzz import fuzz, process

        found = process.extract(
            text.casefold(), self.by_text.keys(), scorer=fuzz.WRatio, limit=count, score_cutoff=least
        )
        return [(label, score) for label, score, _ in found]
