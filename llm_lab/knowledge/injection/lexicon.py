"""What of a graph is needed to know its entities in texts: their names, and what is said of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from llm_lab.knowledge.construction.mentions import AliasIndex, Mention, length
from llm_lab.knowledge.fact import Fact, Value
from llm_lab.knowledge.names import ALIAS, LABEL
from llm_lab.knowledge.store import Store

FILE = "lexicon.jsonl"
ENGLISH = "en"
NAMING = (LABEL, ALIAS)
KEPT = 1 << 14  # texts whose entities are remembered: a context stands under many questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entity.

    Attributes:
        id: its identifier.
        names: labels and aliases; the identifier where there are none.
        facts: (relation, tail) in words, the most telling first.
        degree: triples that it stands in: of two entities of one name the more usual one is meant.
    """

    id: str
    names: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    degree: int = 0


class Lexicon:
    """Finds the entities of a graph in texts.

    Args:
        entries: the entities, in the order of their numbers.
        cased: a mention of one word has a capital letter or a digit, and an abbreviation is written as one.
        shortest: letters of a name that is looked for.
    """

    def __init__(self, entries: Sequence[Entry], *, cased: bool = True, shortest: int = 3) -> None:
        self.entries, self.cased, self.shortest = entries, cased, shortest
        self.link = lru_cache(maxsize=KEPT)(self._link)

    @cached_property
    def index(self) -> AliasIndex:
        """The names with the numbers of their entities."""
        pairs = ((name, str(n)) for n, entry in enumerate(self.entries) for name in entry.names)
        return AliasIndex(aliases=((name, n) for name, n in pairs if length(name) >= self.shortest))

    @cached_property
    def _written(self) -> frozenset[str]:
        return frozenset(name for entry in self.entries for name in entry.names)

    def _link(self, text: str) -> tuple[tuple[Mention, int], ...]:
        """The mentions of a text with the numbers of their entities, from 0, in their order."""
        found = (one for one in self.index.find(text) if not self.cased or self._fits(one.text))
        return tuple((one, max(map(int, one.candidates), key=self._usual)) for one in found)

    def _usual(self, number: int) -> tuple[int, int]:
        return self.entries[number].degree, -number

    def _fits(self, text: str) -> bool:
        """Whether a mention is written as a name: an abbreviation as in the graph, a word not in small letters."""
        if text.islower() and " " not in text:
            return False
        abbreviation = length(text) <= self.shortest
        return text in self._written if abbreviation else True


def from_store(
    store: Store, *, most: int, only: Sequence[str] | None = None, language: str = ENGLISH
) -> Lexicon:
    """The lexicon of a graph.

    Args:
        store: the graph.
        most: facts that are kept of each entity.
        only: entities to be in it, in the order of their numbers; None for all that have triples.
        language: of labels of relations and tails; English where they have none in it.
    """
    names: dict[str, dict[str, None]] = {}
    for name, identifier in store.aliases():
        names.setdefault(identifier, {})[name] = None
    labels, degrees = {**store.labels(ENGLISH), **store.labels(language)}, store.degrees
    wanted = sorted(degrees) if only is None else only
    entries = [
        Entry(
            id=one,
            names=tuple(names.get(one, (one.replace("_", " "),))),
            facts=tuple(_told(store, one, labels, degrees, most)) if most else (),
            degree=degrees.get(one, 0),
        )
        for one in wanted
    ]
    return Lexicon(entries)


def _told(
    store: Store, name: str, labels: Mapping[str, str], degrees: Mapping[str, int], most: int
) -> Iterator[tuple[str, str]]:
    """Facts about an entity in words; those of rare tails first, since they tell it from others.

    Only training facts: what is kept for validation and test of the graph stays unknown.
    """
    facts = [fact for fact in store.facts(name, split="train") if fact.relation not in NAMING]
    order = sorted(facts, key=lambda fact: (_kind(fact, degrees), fact.relation, str(fact.tail)))
    for fact in order[:most]:
        tail = fact.tail.text if isinstance(fact.tail, Value) else labels.get(fact.tail, fact.tail)
        relation = labels.get(fact.relation, fact.relation)
        yield _words(relation), _words(tail)


def _kind(fact: Fact, degrees: Mapping[str, int]) -> tuple[bool, bool, int]:
    literal = isinstance(fact.tail, Value)
    return literal, not fact.relation.endswith("type"), 0 if literal else degrees.get(str(fact.tail), 0)


def _words(identifier: str) -> str:
    """An identifier as words: `rdf:type` is type, `country/Germany` is Germany."""
    last = identifier.rpartition(":")[2] if "://" not in identifier else identifier
    return last.rpartition("/")[2].replace("_", " ").strip() or identifier


def write(folder: Path, lexicon: Lexicon) -> None:
    """Write the entities, one a line."""
    with (folder / FILE).open("w", encoding="utf-8") as stream:
        for entry in lexicon.entries:
            stream.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")


def read(folder: Path, *, cased: bool, shortest: int) -> Lexicon:
    """The lexicon of a folder."""
    with (folder / FILE).open(encoding="utf-8") as stream:
        entries = [_entry(json.loads(line)) for line in stream]
    return Lexicon(entries, cased=cased, shortest=shortest)


def _entry(row: Mapping[str, Any]) -> Entry:
    facts = tuple((str(relation), str(tail)) for relation, tail in row["facts"])
    return Entry(id=row["id"], names=tuple(row["names"]), facts=facts, degree=row["degree"])
