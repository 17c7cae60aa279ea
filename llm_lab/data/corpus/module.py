"""Running text for pretraining: any sources, mixed, without duplicates, packed into full blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from llm_lab.config import build, build_all
from llm_lab.data.corpus.pairs import PairTable
from llm_lab.data.corpus.prepare import gather, lay_out
from llm_lab.data.corpus.sources import parse_corpus
from llm_lab.data.corpus.stream import Stream
from llm_lab.data.corpus.tables import BlockTable, PieceTable
from llm_lab.data.module import TOKENIZER, DataModule
from llm_lab.data.readers import identity
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import SPLITS
from llm_lab.data.spec import DataSpec
from llm_lab.data.staging import Staging
from llm_lab.data.table import Table
from llm_lab.data.tokenizers import TokenizerSource
from llm_lab.data.transforms import Transform
from llm_lab.errors import ConfigError, DataError

FORMAT = 2  # of the prepared folder; a change makes old folders unknown


class CorpusData(DataModule):
    """Documents as one stream of tokens, cut into rows when a batch is made.

    Args:
        source: see `llm_lab.data.corpus.sources.parse_corpus`.
        tokenizer: node of a ``llm_lab.data.tokenizers.TokenizerSource``.
        licence: of the data, as the report shows it.
        format: see `llm_lab.data.source.Source`; a folder is read file by file.
        header: column names of tables without a header row.
        encoding: of text files.
        text: columns of a table that make up a document.
        document: what one document is in a text file.
        streaming: read hub data sets as they come, without a copy of their files.
        split: shares of ``val`` and ``test``, of the documents by a hash of their text.
        tail: take the shares from the end of the corpus instead, by characters.
        duplicates: what becomes of documents that are equal but for case, width and white space.
        near_duplicates: share of common runs of five characters from which on a document goes; None looks for none.
        limit: most documents per split.
        max_rejected: share of unusable documents above which the run stops.
        layout: ``packed`` (full blocks across documents), ``documents`` (a document per row, long ones in pieces),
            ``sentence_pairs`` (two runs of sentences per row).
        next_token: give the next token as label (causal models); else the task makes its targets.
        swap: sentence pairs change places (sentence order) instead of coming from another document.
        max_length: tokens of a block, most tokens of other rows.
        transforms: mapping from a name to a node of a ``llm_lab.data.transforms.Transform``.
        batch_size: rows per micro-batch and rank.
        seed: of the order, of the places where blocks begin, and of the pairs.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        *,
        source: str | Mapping[str, Any],
        tokenizer: Mapping[str, Any],
        licence: str,
        format: str | None = None,  # noqa: A002 - the user's word
        header: Sequence[str] | None = None,
        encoding: str = "utf-8",
        text: str | Sequence[str] = "text",
        document: Literal["file", "line", "paragraph"] = "file",
        streaming: bool = False,
        split: Mapping[str, float] | None = None,
        tail: bool = False,
        duplicates: Literal["drop", "keep"] = "drop",
        near_duplicates: float | None = 0.8,
        limit: int | None = None,
        max_rejected: float = 0.1,
        layout: Literal["packed", "documents", "sentence_pairs"] = "packed",
        next_token: bool = True,
        swap: bool = False,
        max_length: int = 256,
        transforms: Mapping[str, Any] | None = None,
        batch_size: int = 32,
        seed: int = 42,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.sources = parse_corpus(
            source,
            document=document,
            text=text,
            streaming=streaming,
            format=format,
            header=header,
            encoding=encoding,
        )
        given = any(one.source.split for one in self.sources)
        self.shares = parse_shares(split, told=given, default={"val": 0.05})
        if near_duplicates is not None and not 0 < near_duplicates <= 1:
            raise ConfigError(f"data.near_duplicates: a share above 0 is wanted, found {near_duplicates}")
        if max_length < 8:  # noqa: PLR2004 - special tokens and something between them
            raise ConfigError(f"data.max_length: at least 8 is wanted, found {max_length}")
        self.licence, self.tail, self.duplicates = licence, tail, duplicates
        self.near_duplicates, self.limit, self.max_rejected = near_duplicates, limit, max_rejected
        self.layout, self.next_token, self.swap, self.max_length = layout, next_token, swap, max_length
        self.tokenizer: TokenizerSource = build(tokenizer, expected=TokenizerSource, key="data.tokenizer")
        self.transform_nodes = dict(transforms or {})
        self.transforms: Mapping[str, Transform] = build_all(
            self.transform_nodes, expected=Transform, key="data.transforms"
        )

    def recipe(self) -> Mapping[str, Any]:
        """Return what the rows depend on."""
        cleaning = [
            self.shares,
            self.tail,
            self.duplicates,
            self.near_duplicates,
            self.limit,
            self.max_rejected,
        ]
        return {
            "corpus": FORMAT,
            "sources": [{**vars(one), "source": identity(one.source)} for one in self.sources],
            "cleaning": cleaning,
            "tokenizer": self.tokenizer.identity(),
            "layout": [self.layout, self.next_token, self.swap, self.max_length, self.seed],
            "transforms": self.transform_nodes,
            "shown": self.licence,
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, clean, divide, tokenize."""
        staging = Staging(folder=folder, shares={} if self.tail else self.shares)
        try:
            read = gather(self, staging, folder, keep=folder.parent / f"{fingerprint}.rejected.jsonl")
            facts = lay_out(self, staging, folder)
        finally:
            staging.close()
        spec = DataSpec(
            problem="language",
            labels=(),
            sizes={},
            tokenizer=Path(TOKENIZER),
            max_length=self.max_length,
            fingerprint=fingerprint,
            summary={
                "licence": self.licence,
                "sources": [one.source.uri for one in self.sources],
                "seed": self.seed,
                "layout": self.layout,
                "transforms": self.transform_nodes,
                **read,
                **facts,
            },
        )
        tables = {split: self.table(folder, split, spec) for split in SPLITS if split in facts["tokens"]}
        train = tables.get("train")
        if isinstance(train, BlockTable):
            names = self._names(spec)
            taken = dict(zip(names, train.taken.tolist(), strict=True)) if self._weighted else {}
            mixture = {name: round(blocks / len(train), 4) for name, blocks in taken.items()}
            spec.summary["mixture"] = mixture  # type: ignore[index]
        sizes = {split: len(table) for split, table in tables.items() if len(table)}
        return DataSpec(**{**vars(spec), "sizes": sizes})

    def table(self, folder: Path, split: str, spec: DataSpec) -> Table:
        """Rows of the layout.

        Raises:
            DataError: the training split, or a weighted source, holds less than a row.
        """
        facts, stream = spec.summary, Stream(folder=folder, split=split)
        if self.layout == "sentence_pairs":
            pad_id, cls, sep = facts["marks"]
            table = PairTable(
                stream=stream,
                length=self.max_length,
                marks=(pad_id, cls, sep),
                swap=self.swap,
                seed=self.seed,
            )
            if split == "train" and len(set(table.document)) < 2:  # noqa: PLR2004 - one and another
                raise DataError(
                    "data.layout: sentence_pairs needs two documents of two sentences in training"
                )
            return table
        common: dict[str, Any] = {
            "stream": stream,
            "length": self.max_length,
            "pad_id": facts["pad_id"],
            "special": facts["special_ids"],
            "next_token": self.next_token,
        }
        if self.layout == "documents":
            return PieceTable(**common)
        if split != "train":
            return BlockTable(**common)
        return BlockTable(**common, seed=self.seed, shares=self._shares(spec))

    @property
    def _weighted(self) -> bool:
        return self.sources[0].weight is not None

    def _names(self, spec: DataSpec) -> list[str]:
        return [one.name for one in self.sources if spec.summary["tokens_by_source"]["train"].get(one.name)]

    def _shares(self, spec: DataSpec) -> dict[str, float] | None:
        """Weights of the sources that have training text, in the order of the stream."""
        if not self._weighted:
            return None
        weights = {one.name: one.weight or 0.0 for one in self.sources}
        names = self._names(spec)
        total = sum(weights[name] for name in names)
        return {name: weights[name] / total for name in names}

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield the ``text`` of each row."""
        import numpy as np
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, trust_remote_code=False)
        table = self.table(folder, split, spec)
        for row in range(len(table)):
            ids = table.batch(np.array([row]), 0)["input_ids"][0]
            yield {"text": tokenizer.decode(ids, skip_special_tokens=True)}
