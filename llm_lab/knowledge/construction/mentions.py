"""Where names of entities stand in a text: an index over labels and aliases, exact first, then nearly so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from llm_lab.knowledge.nearest_labels import SHOWN, like

NEAR = 0.84  # of 1: how like a name a misspelt mention has to be; two exchanged letters count as one edit
ALIKE = 75.0  # of 100: how like a name a part of a text has to be for the name to be proposed
SHORTEST = 3  # letters of a name that is looked for, see `length`
SHORTEST_NEAR = 6  # of a misspelt one
# Chinese is written without blanks: each character is a word.
_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(f"[{_HAN}]|[^\\W_{_HAN}]+")
_OF_HAN = re.compile(f"[{_HAN}]")
# Words that begin or end no misspelt mention, and are none themselves.
COMMON = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "did", "do", "does", "for", "from", "had", "has",
    "have", "he", "her", "his", "in", "is", "it", "its", "of", "on", "or", "s", "she", "that", "the",
    "their", "this", "to", "was", "were", "what", "when", "where", "which", "who", "whom", "whose",
    "will", "with",
})  # fmt: skip
Words = tuple[str, ...]
Found = tuple[int, int, tuple[str, ...], float]
"""First word, word behind the last, entities, likeness."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A part of a text that may name an entity.

    Attributes:
        start: first letter.
        end: letter behind the last.
        text: as it stands there.
        candidates: identifiers of the entities of that name.
        likeness: from 0 to 1, 1 for a name as the graph has it.
    """

    start: int
    end: int
    text: str
    candidates: tuple[str, ...]
    likeness: float = 1.0


def words_of(text: str) -> list[tuple[str, int, int]]:
    """Words in lower case with their places; marks, blanks and underscores part them, a Chinese character is one."""
    return [(normal(found[0]), found.start(), found.end()) for found in _WORD.finditer(text)]


def normal(text: str) -> str:
    """A text by which names are compared: Unicode form NFKC, without case."""
    return unicodedata.normalize("NFKC", text).casefold()


def length(text: str) -> int:
    """Letters of a name; a Chinese character says as much as two."""
    return len(text) + len(_OF_HAN.findall(text))


class AliasIndex:
    """Finds the names of a graph in texts, the longest first, no two over the same words.

    Args:
        aliases: (name, identifier).
        near: look for misspelt names as well, where no exact one is.
    """

    def __init__(self, *, aliases: Iterable[tuple[str, str]], near: bool = False) -> None:
        self.near = near
        self.names: dict[Words, tuple[str, ...]] = {}
        for name, identifier in aliases:
            words = tuple(word for word, _, _ in words_of(name))
            if sum(map(length, words)) < SHORTEST or all(word in COMMON for word in words):
                continue
            known = self.names.get(words, ())
            if identifier not in known:
                self.names[words] = (*known, identifier)
        self.longest = max(map(len, self.names), default=0)

    @cached_property
    def _by_word(self) -> Mapping[str, list[str]]:
        """Joined names by each of their words that says something."""
        found: dict[str, list[str]] = {}
        for words in self.names:
            for word in {word for word in words if word not in COMMON}:
                found.setdefault(word, []).append(" ".join(words))
        return found

    def find(self, text: str) -> list[Mention]:
        """The mentions of a text, in their order."""
        words = words_of(text)
        found = [*self._exact(words)]
        if self.near:
            found += self._misspelt(words, found)
        taken, chosen = [False] * len(words), []
        for start, end, names, likeness in sorted(
            found, key=lambda one: ((one[0] - one[1]) * one[3], one[0])
        ):
            if not any(taken[start:end]):
                taken[start:end] = [True] * (end - start)
                first, last = words[start][1], words[end - 1][2]
                chosen.append(Mention(first, last, text[first:last], names, likeness))
        return sorted(chosen, key=lambda mention: mention.start)

    def like(self, text: str) -> list[tuple[str, str]]:
        """Names that some words of a text are like, with an entity of each, the nearest first; to be proposed only."""
        words = [word for word, _, _ in words_of(text)]
        spans = [words[start:end] for start, end in _spans(len(words), self.longest)]
        parts = {" ".join(part) for part in spans if part[0] not in COMMON and part[-1] not in COMMON}
        joined = {" ".join(name): entities[0] for name, entities in self.names.items()}
        near = {
            name: fuzz.ratio(part, name) for part in sorted(parts) for name in like(part, joined, least=ALIKE)
        }
        return [(name, joined[name]) for name in sorted(near, key=lambda name: -near[name])[:SHOWN]]

    def _exact(self, words: Sequence[tuple[str, int, int]]) -> Iterator[Found]:
        for start, end in _spans(len(words), self.longest):
            if names := self.names.get(tuple(word for word, _, _ in words[start:end])):
                yield start, end, names, 1.0

    def _misspelt(self, words: Sequence[tuple[str, int, int]], exact: Sequence[Found]) -> Iterator[Found]:
        """Runs of words that are like a name, those aside that are part of an exact one."""
        inside = [(start, end) for start, end, _, _ in exact]
        for start, end in _spans(len(words), self.longest):
            part = [word for word, _, _ in words[start:end]]
            if part[0] in COMMON or part[-1] in COMMON:
                continue
            if any(first <= start and end <= last for first, last in inside):
                continue
            if found := self._nearest(part):
                yield start, end, self.names[tuple(found[0].split())], found[1]

    def _nearest(self, part: Sequence[str]) -> tuple[str, float] | None:
        """The name most like some words, of those that share a word with them, or any where it is one word."""
        joined = " ".join(part)
        if len(joined) < SHORTEST_NEAR or _OF_HAN.search(joined):  # one other character is another name
            return None
        pool = {name for word in part for name in self._by_word.get(word, ())}
        names: Iterable[str] = pool or (self._single if len(part) == 1 else ())
        found = process.extractOne(joined, names, scorer=OSA.normalized_similarity, score_cutoff=NEAR)
        return None if found is None else (found[0], found[1])

    @cached_property
    def _single(self) -> list[str]:
        return [words[0] for words in self.names if len(words) == 1]


def _spans(count: int, longest: int) -> Iterator[tuple[int, int]]:
    """All runs of words, the longest first, from left to right."""
    for length in range(min(count, longest), 0, -1):
        for start in range(count - length + 1):
            yield start, start + length
