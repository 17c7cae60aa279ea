"""Triples of a knowledge graph: from tables to batches of ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from llm_lab import assets
from llm_lab.data.module import TOKENIZER, DataModule
from llm_lab.data.readers import as_uri, identity
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import parse_sources
from llm_lab.data.spec import DataSpec
from llm_lab.data.table import Batch, IntArray, Table
from llm_lab.data.triple_rows import TripleReader, Unseen, read_labels
from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.formats.source import GraphSource, parse_graph
from llm_lab.knowledge.leaks import leaks
from llm_lab.knowledge.ranking import Answers
from llm_lab.knowledge.triples import Triples, read_triples, write_triples

FORMAT = 3  # of the prepared folder; a change makes old folders unknown
TOLD = 5  # relations by which most triples are given away
Objective = Literal["one_vs_all", "k_vs_all", "negative_sampling", "contrastive"]


class TripleData(DataModule):
    """The triples of a graph; a graph without splits is split by a hash of each triple.

    Args:
        source: a URI or a mapping from a split to one: tables of head, relation and tail without a header.
        licence: of the data, as the report shows it.
        graph: in the place of ``source``, files that the graph store reads, see ``llm_lab.knowledge.formats.source``.
        negatives: split -> URI of triples that are known to be false, for triple classification.
        labels: language -> URI of a JSON object with the labels of entities and relations.
        split: shares of ``val`` and ``test`` where the source names no splits; None makes 0.1 each.
        inductive: share of the entities that training never shows, half of them for validation and half for test;
            all triples are divided anew by whether they touch one. Negatives are left out then. 0 keeps the splits.
        objective: what the task learns from: for ``k_vs_all`` a row of training is a query with all its answers,
            otherwise a triple.
        limit: most triples per split.
        max_rejected: share of unusable rows above which the run stops.
        batch_size: rows per micro-batch and rank.
        seed: of the order of the batches.
    """

    padded = False

    def __init__(
        self,
        *,
        source: str | Mapping[str, Any] | None,
        licence: str,
        graph: str | Mapping[str, Any] | None = None,
        negatives: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        split: Mapping[str, float] | None = None,
        inductive: float = 0.0,
        objective: Objective = "one_vs_all",
        limit: int | None = None,
        max_rejected: float = 0.0,
        batch_size: int = 512,
        seed: int = 42,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        if (source is None) == (graph is None):
            raise ConfigError("data.source: one of `source` and `graph` is wanted")
        self.sources = parse_sources(source) if source is not None else ()
        self.graph = graph
        if not 0 <= inductive < 1:
            raise ConfigError(f"data.inductive: a share from 0 to below 1 is wanted, found {inductive}")
        self.inductive = inductive
        self.negatives = parse_sources(negatives) if negatives and not inductive else ()
        self.labels, self.licence = dict(labels or {}), licence
        self.shares = parse_shares(split, told=self._has_splits())
        if limit is not None and limit < 1:
            raise ConfigError(f"data.limit: at least 1 is wanted, found {limit}")
        self.objective, self.limit, self.max_rejected = objective, limit, max_rejected

    def _files(self) -> tuple[GraphSource, ...]:
        return parse_graph(self.graph, "data.graph") if self.graph else ()

    def _has_splits(self) -> bool:
        return any(one.split for one in self.sources) or any(one.split != "train" for one in self._files())

    def recipe(self) -> Mapping[str, Any]:
        """Return what the ids depend on: contents of the sources, splits, limit."""
        from llm_lab.knowledge.graphs import graph_identity

        return {
            "format": ["triples", FORMAT],
            "sources": [identity(source) for source in self.sources],
            **({"graph": graph_identity(self._files())} if self.graph else {}),
            "negatives": [identity(source) for source in self.negatives],
            "labels": {language: assets.fingerprint(as_uri(uri)) for language, uri in self.labels.items()},
            "shares": self.shares,
            "shown": [self.licence, self.max_rejected, self.limit],
            "queries": self.objective == "k_vs_all",
            **({"inductive": [self.inductive, self.seed]} if self.inductive else {}),
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read the tables, number the names, count what a reader should know."""
        reader = TripleReader(
            sources=self.sources,
            negatives=self.negatives,
            shares=self.shares,
            licence=self.licence,
            graph={"file": self.graph} if isinstance(self.graph, str) else self.graph,
            unseen=Unseen(self.inductive, self.seed) if self.inductive else None,
        )
        with RejectLog(path=folder / NAME) as rejects:
            triples = reader.read(rejects, limit=self.limit)
        keep = folder.parent / f"{fingerprint}.rejected.jsonl"
        rejects.check(rows=reader.counts["rows"], most=self.max_rejected, keep=keep)
        if "train" not in triples.splits:
            raise DataError("data.source: there is no training triple")
        labels = {**triples.labels, **read_labels(self.labels, licence=self.licence)}
        write_triples(folder, replace(triples, labels=labels))
        return DataSpec(
            problem="triples",
            labels=(),
            sizes=self._sizes(triples),
            modalities=("triple",),
            tokenizer=Path(TOKENIZER),
            max_length=3,
            fingerprint=fingerprint,
            summary={
                "licence": self.licence,
                "sources": [source.uri for source in self.sources] + [file.uri for file in self._files()],
                "rejected": rejects.summary(),
                "duplicates": reader.counts["duplicates"],
                **counted(triples),
            },
        )

    def _sizes(self, triples: Triples) -> dict[str, int]:
        sizes = {split: len(ids) for split, ids in triples.splits.items()}
        if self.objective == "k_vs_all":
            sizes["train"] = len(_training_answers(triples))
        return sizes

    def table(self, folder: Path, split: str, spec: DataSpec) -> TripleTable | QueryTable:
        """Triples of a split; for `k_vs_all` the training queries."""
        triples = read_triples(folder)
        if split == "train" and self.objective == "k_vs_all":
            return QueryTable(_training_answers(triples).queries)
        return TripleTable(triples.splits[split])

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``head``, ``relation`` and ``tail`` of each triple by name."""
        triples = read_triples(folder)
        for head, relation, tail in triples.splits[split].tolist():
            yield {
                "head": triples.entities[head],
                "relation": triples.relations[relation],
                "tail": triples.entities[tail],
            }


class _Rows(Table):
    """Rows of ids; all are of one length."""

    def __init__(self, ids: np.ndarray) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def lengths(self, rows: IntArray) -> IntArray:
        """One for each."""
        return np.ones(len(rows), np.int64)

    def _chosen(self, rows: IntArray) -> Tensor:
        return torch.from_numpy(np.asarray(self.ids[rows], np.int64))


class TripleTable(_Rows):
    """Triples (head, relation, tail) as they stand in a graph."""

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """``triples`` int64 [B, 3]."""
        return {"triples": self._chosen(rows)}


class QueryTable(_Rows):
    """Queries (source, relation), relations of inverse queries from R on."""

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """``queries`` int64 [B, 2]."""
        return {"queries": self._chosen(rows)}


def _training_answers(triples: Triples) -> Answers:
    return Answers(triples=triples.splits["train"], relations=len(triples.relations))


def counted(triples: Triples) -> dict[str, Any]:
    """Sizes of the graph, and what of the later splits no training triple shows."""
    found: dict[str, Any] = {
        "triples": {split: len(ids) for split, ids in triples.splits.items()},
        "entities": len(triples.entities),
        "relations": len(triples.relations),
    }
    for split in (split for split in ("val", "test") if split in triples.splits):
        given = leaks(triples, split)
        if given.equal:
            found[f"also_in_training_{split}"] = given.equal
        by_relation = dict(list(given.by_relation.items())[:TOLD])
        found[f"reversed_in_training_{split}"] = {"triples": given.reversed, **by_relation}
        found[f"unseen_in_training_{split}"] = triples.unseen_counts(split)
    if triples.negatives:
        found["negatives"] = {split: len(ids) for split, ids in triples.negatives.items()}
    return found
