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
        raise DataError(self.absent(text))

    def absent(self, text: str) -> str:
        """That there is no such label, and which are nearest."""
        near = [(label, self.by_text[label][0]) for label in like(text.casefold(), self.by_text)]
        return f"`{text}` is not in the graph{proposed(near)}"


def like(text: str, labels: Iterable[str], *, count: int = SHOWN, least: float = NEAR) -> list[str]:
    """Labels like the text by edits, best first; a few letters that both have make none alike."""
    from rapidfuzz import fuzz, process

    return [
        label
        for label, _, _ in process.extract(
            text, list(labels), scorer=fuzz.ratio, limit=count, score_cutoff=least
        )
    ]


def proposed(near: Iterable[tuple[str, str]]) -> str:
    """The end of a message: the nearest labels with their identifiers, nothing where there are none."""
    listed = ", ".join(f"`{label}` ({name})" for label, name in near)
    return f"; nearest labels: {listed}" if listed else ""
