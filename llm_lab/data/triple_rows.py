"""Triples read from tables of three columns: names become ids, what is broken is listed with its line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from llm_lab import assets
from llm_lab.data.pair_rows import text_id
from llm_lab.data.progress import progress
from llm_lab.data.readers import as_uri, read
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import RejectLog
from llm_lab.data.shares import split_of
from llm_lab.data.source import SPLITS, Source
from llm_lab.errors import DataError
from llm_lab.knowledge.triples import Ids, Texts, Triples

HEADER = ("head", "relation", "tail")
Named = tuple[str, str, str]


@dataclass(frozen=True)
class Unseen:
    """Entities that training never shows: half of a share of all are those of validation, half those of test."""

    share: float
    seed: int

    def divided(self, triples: Iterable[Named]) -> dict[str, list[Named]]:
        """A triple goes to the split of the entities that it touches, to test before validation.

        Raises:
            DataError: a split is left without triples.
        """
        everything = sorted(set(triples))
        names = sorted({name for head, _, tail in everything for name in (head, tail)})
        order = np.random.default_rng(self.seed).permutation(len(names))
        half = max(1, round(len(names) * self.share / 2))
        held_out = {
            names[number]: "test" if place < half else "val" for place, number in enumerate(order[: 2 * half])
        }
        found: dict[str, list[Named]] = {split: [] for split in SPLITS}
        for head, relation, tail in everything:
            touched = {held_out.get(head, "train"), held_out.get(tail, "train")}
            found[next(split for split in reversed(SPLITS) if split in touched)].append(
                (head, relation, tail)
            )
        if empty := [split for split, rows in found.items() if not rows]:
            raise DataError(
                f"data.inductive: {self.share} of {len(names)} entities leaves no triple for {', '.join(empty)}"
            )
        return found


class TripleReader:
    """Reads all sources into triples by split; counts rows, duplicates, and triples that stand in a later split.

    Args:
        sources: tables without a header row, of the columns head, relation, tail.
        negatives: the same of triples that are known to be false, by split.
        shares: of the triples that a hash sends to ``val`` and ``test`` where the sources name no splits.
        licence: shown before a download.
        graph: files that the graph store reads; its triples of two entities, its labels and its descriptions are
            taken, but not which class is whose.
        unseen: entities to be kept out of training; then all triples are divided by it.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        negatives: Sequence[Source],
        shares: Mapping[str, float],
        licence: str,
        graph: Mapping[str, Any] | None = None,
        unseen: Unseen | None = None,
    ) -> None:
        self.unseen = unseen
        self.sources, self.negatives, self.shares, self.licence = sources, negatives, shares, licence
        self.graph = graph
        self.labels: Texts = {}
        self.descriptions: Texts = {}
        self.counts: Counter[str] = Counter()

    def read(self, rejects: RejectLog, *, limit: int | None = None) -> Triples:
        """All triples as ids; names are numbered as they first appear, those of the training split first.

        Args:
            rejects: takes the rows that cannot be used.
            limit: most triples per split.
        """
        named = self._stored() if self.graph else self._named(self.sources, rejects)
        distinct = {split: list(dict.fromkeys(rows)) for split, rows in named.items()}
        self.counts["duplicates"] = sum(len(rows) - len(distinct[split]) for split, rows in named.items())
        if self.unseen:
            distinct = self.unseen.divided(row for rows in distinct.values() for row in rows)
        named = {split: rows[:limit] for split, rows in distinct.items()}
        false = {split: rows[:limit] for split, rows in self._named(self.negatives, rejects).items()}
        everything = [triple for part in (*named.values(), *false.values()) for triple in part]
        entities = dict.fromkeys(name for head, _, tail in everything for name in (head, tail))
        relations = dict.fromkeys(relation for _, relation, _ in everything)
        for number, name in enumerate(entities):
            entities[name] = number
        for number, name in enumerate(relations):
            relations[name] = number

        def ids(rows: Sequence[Named]) -> Ids:
            cells = [(entities[head], relations[relation], entities[tail]) for head, relation, tail in rows]
            return np.array(cells, np.int32).reshape(-1, 3)

        return Triples(
            entities=tuple(entities),
            relations=tuple(relations),
            splits={split: ids(rows) for split, rows in named.items()},
            negatives={split: ids(rows) for split, rows in false.items()},
            labels=self.labels,
            descriptions=self.descriptions,
        )

    def _named(self, sources: Sequence[Source], rejects: RejectLog) -> dict[str, list[Named]]:
        found: dict[str, list[Named]] = {split: [] for split in SPLITS}
        for source in sources:
            for triple in progress(self._rows(source, rejects), "reading"):
                found[source.split or self._share(triple)].append(triple)
        return {split: rows for split, rows in found.items() if rows}

    def _stored(self) -> dict[str, list[Named]]:
        """The triples of the graph store, in the order of their names; a graph without splits is divided by a hash."""
        from llm_lab.knowledge.graphs import prepared_graph
        from llm_lab.knowledge.ids import links
        from llm_lab.knowledge.names import DESCRIBING, LABEL, TYPE

        store = prepared_graph({"graph": self.graph, "licence": self.licence})
        self.labels, self.descriptions = store.texts(LABEL), store.texts(*DESCRIBING)
        whole = store.splits == ("train",)
        found: dict[str, list[Named]] = {split: [] for split in SPLITS}
        for fact in links(store):
            triple = (fact.head, fact.relation, str(fact.tail))
            if fact.relation != TYPE:
                self.counts["rows"] += 1
                found[self._share(triple) if whole else fact.split].append(triple)
        return {split: sorted(rows) for split, rows in found.items() if rows}

    def _rows(self, source: Source, rejects: RejectLog) -> Iterator[Named]:
        how = replace(source, format=_table(source), header=source.header or HEADER)
        for record in read(how, HEADER, licence=self.licence):
            self.counts["rows"] += 1
            if isinstance(record, Rejected):
                rejects.add(record)
                continue
            head, relation, tail = (str(record.values[name]).strip() for name in HEADER)
            if head and relation and tail:
                yield head, relation, tail
            else:
                rejects.add(Rejected(record.file, record.line, "empty field", f"{head}|{relation}|{tail}"))

    def _share(self, triple: Named) -> str:
        return split_of(text_id("\t".join(triple)), self.shares, order=tuple(self.shares))


def _table(source: Source) -> str:
    """Triples in a file of text are a table of tabs."""
    return "tsv" if source.format in {None, "text"} else source.format


def read_labels(sources: Mapping[str, str], *, licence: str) -> dict[str, dict[str, str]]:
    """Labels by language and identifier, from JSON objects ``{id: label}`` or ``{id: {label: ...}}``.

    Raises:
        DataError: a file is none of these.
    """
    return {str(language): _labels(uri, licence) for language, uri in sources.items()}


def _labels(uri: str, licence: str) -> dict[str, str]:
    path: Path = assets.resolve(as_uri(uri), licence=licence)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"data.labels: {path}: {error}") from error
    if not isinstance(content, Mapping):
        raise DataError(f"data.labels: {path}: a JSON object of labels by identifier is wanted")
    found = {
        key: value.get("label") if isinstance(value, Mapping) else value for key, value in content.items()
    }
    return {str(key): str(value) for key, value in found.items() if value}
