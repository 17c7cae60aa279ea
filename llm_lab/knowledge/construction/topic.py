"""The entity that a question is about: where its name stands, by the words of a graph's names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from llm_lab.knowledge.construction.mentions import AliasIndex
from llm_lab.knowledge.triples import Triples

_WORD = re.compile(r"\S+")


class Topic(NamedTuple):
    """An entity of the graph, and the first letter and the letter behind the last of its name."""

    entity: int
    start: int
    end: int

    def hidden(self, text: str, mask: str) -> str:
        """The text with ``mask`` in the place of the name, so that questions about anybody read alike."""
        return f"{text[: self.start]}{mask}{text[self.end :]}"


class TopicFinder:
    """Finds the entity of a question among identifiers and labels.

    A word that is an identifier comes first, then the longest name; of several entities of one name the one with the
    most triples is meant.

    Args:
        triples: the graph.
    """

    def __init__(self, triples: Triples) -> None:
        self.ids: Mapping[str, int] = triples.entity_ids
        ends = triples.everything[:, [0, 2]].ravel()
        self.degrees = np.bincount(ends, minlength=len(triples.entities))
        labels = [
            (labels[name], name) for labels in triples.labels.values() for name in self.ids if name in labels
        ]
        self.index = AliasIndex(aliases=[*((name, name) for name in triples.entities), *labels])

    def find(self, text: str) -> Topic | None:
        """The topic of a question; None where no entity is named."""
        for word in _WORD.finditer(text):
            if word[0] in self.ids:
                return Topic(self.ids[word[0]], *word.span())
        mentions = self.index.find(text)
        if not mentions:
            return None
        longest = max(mentions, key=lambda one: one.end - one.start)
        usual = max(longest.candidates, key=lambda name: int(self.degrees[self.ids[name]]))
        return Topic(self.ids[usual], longest.start, longest.end)
