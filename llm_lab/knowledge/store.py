"""The graph store: an embedded triple store with SPARQL, on disk or in memory, behind one small interface.

The engine is Oxigraph (https://github.com/oxigraph/oxigraph). The triples of `train` are its default graph, those of
another split a named graph; confidence and source of a triple hang at a reifier of it, as RDF 1.2 has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import pyoxigraph
from pyoxigraph import Literal, Quad, Triple

from llm_lab.data.source import SPLITS
from llm_lab.errors import DataError
from llm_lab.knowledge.fact import (
    ABOUT_TRIPLES,
    CONFIDENCE,
    REIFIES,
    SOURCE,
    Fact,
    Value,
    graph_of,
    quads,
    split_of,
    tail_of,
    term,
)
from llm_lab.knowledge.names import ALIAS, INSTANCE_OF, LABEL, PREFIXES, identifier, iri, node
from llm_lab.knowledge.nearest_labels import Nearest
from llm_lab.knowledge.sparql import Answers, answers, check_query, refuse_loads, refuse_services, told


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one source says of a triple."""

    source: str = ""
    confidence: float | None = None


class Store:
    """Facts about entities: triples with their evidence, labels in several languages, aliases.

    Args:
        path: a folder of its own; None keeps the graph in memory.
        read_only: open what is there, for any number of processes, and change nothing.

    Raises:
        DataError: there is no store to read, or another process writes to it.
    """

    def __init__(self, *, path: Path | None = None, read_only: bool = False) -> None:
        self.path, self.read_only = path, read_only
        try:
            self._engine = _opened(path, read_only=read_only)
        except (OSError, ValueError, RuntimeError) as error:
            raise DataError(f"{path}: the graph cannot be opened: {str(error).splitlines()[0]}") from error

    def add(self, facts: Iterable[Fact]) -> None:
        """Add facts; one that is there already changes nothing.

        Raises:
            DataError: the graph is open for reading only, or an identifier is empty.
        """
        self.extend(chain.from_iterable(map(quads, facts)))

    def extend(self, found: Iterable[Quad]) -> None:
        """Add the engine's own quads, as readers of RDF give them."""
        self._writable()
        self._engine.bulk_extend(found)
        if self.path is not None:
            self._engine.flush()

    @staticmethod
    def is_about(quad: Quad) -> bool:
        """Whether a quad says something of a triple, and is no fact itself."""
        return quad.predicate in ABOUT_TRIPLES

    def facts(
        self,
        head: str | None = None,
        relation: str | None = None,
        tail: str | Value | None = None,
        *,
        split: str | None = None,
        evidence: bool = False,
    ) -> Iterator[Fact]:
        """Yield the facts that fit a pattern, each with the split that holds it.

        Args:
            head: None for any.
            relation: None for any.
            tail: None for any.
            split: None for all.
            evidence: look for it: a fact stands once for each source, with its confidence.
        """
        pattern = (
            None if head is None else node(head),
            None if relation is None else iri(relation),
            None if tail is None else term(tail),
        )
        graph = None if split is None else graph_of(split)
        for quad in self._engine.quads_for_pattern(*pattern, graph):
            if quad.predicate in ABOUT_TRIPLES:
                continue
            fact = _fact(quad)
            if not evidence:
                yield fact
                continue
            known = self._evidence(quad) or [Evidence()]
            for one in known:
                yield Fact(fact.head, fact.relation, fact.tail, one.confidence, one.source, fact.split)

    def evidence(self, fact: Fact) -> list[Evidence]:
        """What is known about a triple, by source."""
        return self._evidence(next(quads(fact)))

    def _evidence(self, quad: Quad) -> list[Evidence]:
        triple, found = Triple(quad.subject, quad.predicate, quad.object), []
        for reifier in self._engine.quads_for_pattern(None, REIFIES, triple, quad.graph_name):
            said = {
                one.predicate: one.object.value
                for one in self._engine.quads_for_pattern(reifier.subject, None, None, quad.graph_name)
                if isinstance(one.object, Literal)
            }
            confidence = said.get(CONFIDENCE)
            found.append(
                Evidence(
                    source=said.get(SOURCE, ""), confidence=None if confidence is None else float(confidence)
                )
            )
        return sorted(found, key=lambda one: one.source)

    def query(self, text: str) -> Answers:
        """The answers to a SPARQL query; the usual prefixes are there, `:x` is the entity or relation x.

        Raises:
            DataError: the query is wrong, an update, or asks another server; reading the rows may raise it as well.
        """
        check_query(text)
        with told():
            return answers(self._engine.query(text, prefixes=PREFIXES))

    def update(self, text: str) -> None:
        """Apply a SPARQL update.

        Raises:
            DataError: the graph is open for reading only, or the update is wrong or asks another server.
        """
        self._writable()
        refuse_services(text)
        refuse_loads(text)
        with told():
            self._engine.update(text, prefixes=PREFIXES)

    def label(self, name: str, language: str = "en") -> str:
        """The label in a language, else one in no language, else in any; the identifier where there is none."""
        found = {one.tail.language: one.tail.text for one in self._texts(LABEL, name)}
        return found.get(language) or found.get("") or next(iter(found.values()), name)

    def labels(self, language: str = "en") -> Mapping[str, str]:
        """Identifier -> label, of all that have one in this language or in none."""
        found = [one for one in self._texts(LABEL) if one.tail.language in ("", language)]
        return {one.head: one.tail.text for one in sorted(found, key=lambda one: one.tail.language)}

    def texts(self, *relations: str) -> dict[str, dict[str, str]]:
        """Language -> identifier -> text, by the first of the relations that says one; `""` is no language."""
        found: dict[str, dict[str, str]] = {}
        for relation in relations:
            told: dict[tuple[str, str], str] = {}
            for one in self._texts(relation):
                key = (one.tail.language, one.head)
                told[key] = min(one.tail.text, told.get(key, one.tail.text))  # whatever the store's order
            for (language, name), text in told.items():
                found.setdefault(language, {}).setdefault(name, text)
        return {language: found[language] for language in sorted(found)}

    def aliases(self) -> Iterator[tuple[str, str]]:
        """Yield (text, identifier) of every label and alias, in all languages."""
        for relation in (LABEL, ALIAS):
            for fact in self._texts(relation):
                yield fact.tail.text, fact.head

    def _texts(self, relation: str, head: str | None = None) -> Iterator[_Text]:
        for fact in self.facts(head, relation):
            if isinstance(fact.tail, Value):
                yield _Text(fact.head, fact.tail)

    @cached_property
    def degrees(self) -> Mapping[str, int]:
        """Entity -> triples with another entity that it stands in."""
        from llm_lab.knowledge.ids import links

        found: Counter[str] = Counter()
        for fact in links(self):
            found.update((fact.head, str(fact.tail)))
        return found

    def classes(self) -> frozenset[str]:
        """What entities are instances of: the tails of `rdf:type` and its like."""
        facts = chain.from_iterable(self.facts(relation=relation) for relation in INSTANCE_OF)
        return frozenset(fact.tail for fact in facts if isinstance(fact.tail, str))

    def find(self, text: str) -> str:
        """The identifier of what is meant: an identifier, a label or an alias; blanks around it do not count.

        Raises:
            DataError: it is not in the graph; the nearest labels are proposed.
        """
        text = text.strip()
        if text and any(True for _ in self._named(text)):
            return text
        return self._nearest.find(text)

    def absent(self, names: Iterable[str]) -> list[str]:
        """A line for each name that no fact has, neither for an entity nor for a relation, with the nearest labels."""
        lost = [name for name in names if not any(chain(self._named(name), self.facts(relation=name)))]
        if not lost:
            return []
        relations = {fact.relation: 0 for fact in self.facts()}
        known = Nearest(entities={**relations, **self.degrees}, aliases=self.aliases())
        return [known.absent(name) for name in lost]

    def _named(self, name: str) -> Iterator[Fact]:
        return chain(self.facts(name), self.facts(tail=name))

    @cached_property
    def _nearest(self) -> Nearest:
        return Nearest(entities=self.degrees, aliases=self.aliases())

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold facts, in their order."""
        return tuple(split for split in SPLITS if next(iter(self.facts(split=split)), None) is not None)

    def __len__(self) -> int:
        """Facts, without what is said about them."""
        about = sum(1 for about in ABOUT_TRIPLES for _ in self._engine.quads_for_pattern(None, about, None))
        return len(self._engine) - about

    def quads(self, split: str | None = None) -> Iterator[Quad]:
        """Yield the engine's own quads, evidence included, for those who write files."""
        yield from self._engine.quads_for_pattern(
            None, None, None, None if split is None else graph_of(split)
        )

    def close(self) -> None:
        """Give the folder free for another process."""
        with suppress(AttributeError):
            del self._engine

    def _writable(self) -> None:
        if self.read_only:
            raise DataError(f"{self.path}: the graph is open for reading only, and would be changed")
        for cached in ("degrees", "_nearest"):
            self.__dict__.pop(cached, None)


@dataclass(frozen=True, slots=True)
class _Text:
    head: str
    tail: Value


def _opened(path: Path | None, *, read_only: bool) -> pyoxigraph.Store:
    if path is None:
        return pyoxigraph.Store()
    if read_only:
        if not (path / "CURRENT").is_file():  # of RocksDB, which the engine keeps its tables in
            raise DataError(f"{path} holds no graph")
        return pyoxigraph.Store.read_only(str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    return pyoxigraph.Store(str(path))


def _fact(quad: Quad) -> Fact:
    split = split_of(quad.graph_name)
    if split is None:
        raise DataError(f"the graph holds facts in {quad.graph_name}, which is no split: load its files anew")
    return Fact(identifier(quad.subject), identifier(quad.predicate), tail_of(quad.object), split=split)
