"""Questions that entities of a graph answer: linked to the graph, divided, tokenized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_lab import assets
from llm_lab.data.graph_question_rows import Asked, Division, linked, overlap, place
from llm_lab.data.graph_question_table import GraphQuestionTable, write_questions
from llm_lab.data.path_questions import read_questions
from llm_lab.data.readers import as_uri, identity
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import SPLITS, parse_sources
from llm_lab.data.source_data import SourceData
from llm_lab.data.spec import DataSpec
from llm_lab.data.triple_rows import TripleReader
from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.construction.topic import TopicFinder
from llm_lab.knowledge.triples import Triples, read_triples, write_triples

FORMAT = 2  # of the prepared folder; a change makes old folders unknown


class GraphQuestionData(SourceData):
    """Questions in PathQuestion's format (``question TAB answer(all/answers/) TAB path``) over a graph.

    Args:
        source: a URI or a mapping from a split to one: the questions.
        triples: a URI or a mapping of such: the tables of the graph, which is known as a whole.
        graph: in the place of ``triples``, files that the graph store reads.
        licence: of the data, as the report shows it.
        tokenizer: node of a `TokenizerSource`.
        division: what goes into a split as one. ``random``: a question. ``path_disjoint``: all questions about one
            entity that ask for the same relations, so that no path from entity to entity that answers a test question
            answers one of training.
        split: shares of ``val`` and ``test`` by a hash; None makes 0.1 each.
        limit: most questions per split.
        max_rejected: share of unusable questions above which the run stops.
        max_length: most tokens of a question.
        batch_size: questions per micro-batch and rank.
        seed: of the order of the batches.
    """

    def __init__(
        self,
        *,
        source: str | Mapping[str, Any],
        triples: str | Mapping[str, Any] | None,
        licence: str,
        tokenizer: Mapping[str, Any],
        graph: str | Mapping[str, Any] | None = None,
        division: Division = "random",
        split: Mapping[str, float] | None = None,
        limit: int | None = None,
        max_rejected: float = 0.0,
        max_length: int = 64,
        batch_size: int = 32,
        seed: int = 42,
    ) -> None:
        sources = parse_sources(source)
        super().__init__(
            sources=sources,
            tokenizer=tokenizer,
            licence=licence,
            shares=parse_shares(split, told=any(one.split for one in sources)),
            limit=limit,
            max_rejected=max_rejected,
            max_length=max_length,
            batch_size=batch_size,
            seed=seed,
        )
        if (triples is None) == (graph is None):
            raise ConfigError("data.triples: one of `triples` and `graph` is wanted")
        self.tables = parse_sources(triples) if triples is not None else ()
        self.graph = {"file": graph} if isinstance(graph, str) else graph
        self.division: Division = division

    def recipe(self) -> Mapping[str, Any]:
        """Return what the rows depend on: questions, graph, how they are divided, tokenizer."""
        return {
            "format": ["graph_questions", FORMAT],
            "sources": [identity(source) for source in self.sources],
            "triples": [identity(source) for source in self.tables],
            **({"graph": self._graph_identity()} if self.graph else {}),
            "kept": [
                self.division,
                self.shares,
                self.limit,
                self.max_rejected,
                self.max_length,
                self.licence,
            ],
            "tokenizer": self.tokenizer.identity(),
        }

    def _graph_identity(self) -> list[dict[str, Any]]:
        from llm_lab.knowledge.formats.source import parse_graph
        from llm_lab.knowledge.graphs import graph_identity

        return graph_identity(parse_graph(self.graph or {}, "data.graph"))

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read graph and questions, link, divide, tokenize."""
        with RejectLog(path=folder / NAME) as rejects:
            triples = self._triples(rejects)
            rows, asked = self._questions(triples, rejects)
        self.check_rejects(rejects, rows=rows, folder=folder, fingerprint=fingerprint)
        splits = {
            split: some[: self.limit] for split, some in place(asked, self.division, self.shares).items()
        }
        if not splits.get("train"):
            raise DataError(f"there is no training question in {', '.join(self.uris)}")
        write_triples(folder, triples)
        tokenizer = self.save_tokenizer(folder, lambda: (one.text for one in splits["train"]))
        longest = max(
            write_questions(folder / f"{split}.arrow", some, tokenizer, max_length=self.max_length)
            for split, some in splits.items()
        )
        whole = [one for split in SPLITS for one in splits.get(split, ())]
        return self.described(
            problem="entities",
            sizes={split: len(some) for split, some in splits.items()},
            longest=longest,
            fingerprint=fingerprint,
            columns={"text": "text"},
            tokenizer=tokenizer,
            sample=(one.text for one in splits["train"]),
            facts={
                "rows": rows,
                "rejected": rejects.summary(),
                "entities": len(triples.entities),
                "relations": len(triples.relations),
                "hops": max(len(one.relations) for one in whole),
                "division": self.division,
                "topics_linked_wrongly": sum(one.topic != one.chain[0] for one in whole),
                **overlap(splits),
            },
        )

    def _triples(self, rejects: RejectLog) -> Triples:
        reader = TripleReader(
            sources=self.tables, negatives=(), shares={}, licence=self.licence, graph=self.graph
        )
        triples = reader.read(rejects)
        if not len(triples.everything):
            raise DataError("data.triples: there is no triple")
        everything = {"train": triples.everything}
        return Triples(entities=triples.entities, relations=triples.relations, splits=everything)

    def _questions(self, triples: Triples, rejects: RejectLog) -> tuple[int, list[Asked]]:
        finder, rows, found = TopicFinder(triples), 0, []
        for source in self.sources:
            path = assets.resolve(as_uri(source.uri), licence=self.licence)
            for read in read_questions(path, encoding=source.encoding):
                rows += 1
                one = read if isinstance(read, Rejected) else linked(read, path.name, triples, finder)
                if isinstance(one, Rejected):
                    rejects.add(one)
                else:
                    found.append(one._replace(split=source.split))
        return rows, found

    def table(self, folder: Path, split: str, spec: DataSpec) -> GraphQuestionTable:
        """Tokens, topics, relations and answers of a split."""
        return GraphQuestionTable(
            path=folder / f"{split}.arrow",
            pad_id=int(spec.summary["pad_id"]),
            hops=int(spec.summary["hops"]),
            relations=int(spec.summary["relations"]),
        )

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``text``, and ``topic``, ``relations`` and ``answers`` as ids and by name, of each question."""
        triples = read_triples(folder)
        table = self.table(folder, split, spec)
        for text, topic, relations, answers in table.stream("text", "topic", "relations", "answers"):
            yield {
                "text": text,
                "topic": triples.entities[topic],
                "relations": [triples.relations[number] for number in relations],
                "answers": [triples.entities[number] for number in answers],
                "ids": {"topic": topic, "relations": relations, "answers": answers},
            }
