"""Facts from texts: which entities they mention, and which relations they say to hold between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from llm_lab import assets
from llm_lab.data.tags import entities, normal
from llm_lab.knowledge.construction.canonical import canonical
from llm_lab.knowledge.construction.linker import Linked, Linker
from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.names import LABEL, TYPE

MENTIONS = "mentions"
Text = tuple[str, str]
"""Name of a text, and its words."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something that a tagger found in a text: its type, its words, its first letter."""

    kind: str
    text: str
    start: int


class TextFacts:
    """Makes facts of texts, with confidences; each names the text it comes from as its source.

    Args:
        linker: finds entities of a graph; None finds none.
        tagger: run directory or ``run://`` URI of a token classification. Types that are relations of the linker's
            graph are relations; any other type is a kind of entity, whose names become entities of their own.
    """

    def __init__(self, *, linker: Linker | None, tagger: str | None) -> None:
        self.linker, self.tagger = linker, tagger
        self.known = {fact.relation for fact in linker.store.facts()} if linker else set()
        self.texts = self.mentions = self.relations = 0
        self._entities: set[str] = set()

    @property
    def entities(self) -> int:
        """How many entities the texts mention."""
        return len(self._entities)

    def facts(self, texts: Iterable[Text]) -> Iterator[Fact]:
        """Yield the facts; names of new entities are told once all texts are read."""
        new: list[tuple[str, Spoken]] = []
        for (name, text), spoken in self._tagged(texts):
            self.texts += 1
            linked = self.linker.link(text) if self.linker else []
            for one in linked:
                yield self._mention(name, one.entity, one.confidence)
            yield from self._named(linked)
            yield from self._related(name, linked, [one for one in spoken if one.kind in self.known])
            new += [(name, one) for one in spoken if one.kind not in self.known and not _covers(linked, one)]
        yield from self._new(new)

    def _mention(self, name: str, entity: str, confidence: float) -> Fact:
        self.mentions += 1
        self._entities.add(entity)
        return Fact(name, MENTIONS, entity, round(confidence, 4), name)

    def _named(self, linked: Sequence[Linked]) -> Iterator[Fact]:
        for one in linked:
            if self.linker and (label := self.linker.store.label(one.entity)) != one.entity:
                yield Fact(one.entity, LABEL, Value(label, "rdf:langString", "en"))

    def _related(self, name: str, linked: Sequence[Linked], spoken: Sequence[Spoken]) -> Iterator[Fact]:
        """Two entities with one relation between them: the relation holds as often as both are what they seem."""
        for one, other in pairwise(linked):
            between = [part for part in spoken if one.mention.end <= part.start < other.mention.start]
            if len(between) == 1 and one.entity != other.entity:
                self.relations += 1
                confidence = round(one.confidence * other.confidence, 4)
                yield Fact(one.entity, between[0].kind, other.entity, confidence, name)

    def _new(self, found: Sequence[tuple[str, Spoken]]) -> Iterator[Fact]:
        """Entities that only the tagger knows: one per canonical name, of the type that it mostly has."""
        names = canonical(one.text for _, one in found)
        kinds: dict[str, Counter[str]] = {}
        for _, one in found:
            if one.text in names:
                kinds.setdefault(names[one.text], Counter())[one.kind] += 1
        for name, counts in kinds.items():
            kind, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
            yield Fact(name, TYPE, kind, round(count / counts.total(), 4), "tagger")
            yield Fact(name, LABEL, Value(name))
        for alias, name in names.items():
            if alias != name:
                yield Fact(name, "skos:altLabel", Value(alias))
        for place, one in found:
            if one.text in names:
                counts = kinds[names[one.text]]
                yield self._mention(place, names[one.text], counts[one.kind] / counts.total())

    def _tagged(self, texts: Iterable[Text]) -> Iterator[tuple[Text, list[Spoken]]]:
        if self.tagger is None:
            for text in texts:
                yield text, []
            return
        from llm_lab.predictors import predictor

        place = self.tagger
        model = predictor(assets.resolve(place) if "://" in place else Path(place))
        rows = ({"tokens": text.split(), "text": text, "name": name} for name, text in texts)
        for row in model.answered(rows):
            yield (row["name"], row["text"]), spoken_in(row["tokens"], row["tags"], row["text"])


def spoken_in(tokens: Sequence[str], tags: Sequence[str], text: str) -> list[Spoken]:
    """What tags say of the words of a text, with its place in the text."""
    starts, place = [], 0
    for token in tokens:
        place = text.index(token, place)
        starts.append(place)
        place += len(token)
    found = entities([normal(tag) for tag in tags])
    return [Spoken(kind, " ".join(tokens[first : last + 1]), starts[first]) for kind, first, last in found]


def _covers(linked: Sequence[Linked], one: Spoken) -> bool:
    """Whether a linked mention stands where the tagger found a name."""
    end = one.start + len(one.text)
    return any(other.mention.start < end and one.start < other.mention.end for other in linked)
