"""Texts that belong together, over any table: from files with flaws to batches of anchors and candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from llm_lab.data.collate import encode
from llm_lab.data.pair_rows import (
    PairReader,
    PairRow,
    parse_columns,
    read_pairs,
    text_id,
    without_leaks,
)
from llm_lab.data.pair_table import PairTable, cells, pair_writer
from llm_lab.data.progress import progress
from llm_lab.data.readers import identity
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import parse_sources
from llm_lab.data.source_data import SourceData
from llm_lab.data.spec import DataSpec

FORMAT = 1  # of the prepared folder; a change makes old folders unknown
CHUNK = 256  # rows tokenized together


class PairData(SourceData):
    """Rows of an anchor and what belongs to it: question and answer, abstract and summary, text and translation.

    Rows with equal anchors are one row with several positives. The texts are held in memory once, to be made.

    Args:
        source: a URI or a mapping from a name to one, as in `llm_lab.data.text_classification`.
        tokenizer: node of a ``llm_lab.data.tokenizers.TokenizerSource``.
        licence: of the data, as the report shows it.
        format: csv, tsv, json, jsonl, parquet, hub; None tells it from the suffix.
        header: column names of tables that have no header row.
        delimiter: what stands between fields, where it is neither CSV's comma nor TSV's tab.
        encoding: of text files.
        columns: the column of each role: ``anchor``, ``positive``, and where there are such ``negative`` (a text
            that seems to belong but does not) and ``split``. A list is one anchor in pieces, but several positives
            or negatives.
        split: shares of the rows that go to ``val`` and ``test`` by a hash of the anchor, for splits that the
            source does not give; None makes 0.1 each where it says nothing about splits, and none otherwise.
        folds: see `SourceData`.
        fold: see `SourceData`.
        leaks: what becomes of rows that share a text with a later split: left out, or kept.
        limit: most rows per split.
        max_rejected: share of unusable rows above which the run stops.
        max_length: most tokens per text.
        transforms: mapping from a name to a node of a `Transform`, whose ``text`` is the anchor: what belongs to it
            stays, since equal texts are known by it.
        batch_size: rows per micro-batch and rank; all other rows' positives are a row's negatives.
        seed: of the order of the batches.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        *,
        source: str | Mapping[str, Any],
        tokenizer: Mapping[str, Any],
        licence: str,
        format: str | None = None,  # noqa: A002 - the user's word
        header: Sequence[str] | None = None,
        delimiter: str | None = None,
        encoding: str = "utf-8",
        columns: Mapping[str, Any] | None = None,
        split: Mapping[str, float] | None = None,
        folds: int | None = None,
        fold: int = 0,
        leaks: Literal["drop", "keep"] = "drop",
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 128,
        transforms: Mapping[str, Any] | None = None,
        batch_size: int = 64,
        seed: int = 42,
    ) -> None:
        sources = parse_sources(source, format=format, header=header, delimiter=delimiter, encoding=encoding)
        roles, given = parse_columns(columns), any(one.split for one in sources)
        super().__init__(
            sources=sources,
            tokenizer=tokenizer,
            licence=licence,
            shares=parse_shares(split, told="split" in roles or given),
            folds=folds,
            fold=fold,
            limit=limit,
            max_rejected=max_rejected,
            max_length=max_length,
            transforms=transforms,
            batch_size=batch_size,
            seed=seed,
        )
        self.columns, self.leaks = roles, leaks

    def recipe(self) -> Mapping[str, Any]:
        """Return what the tokens depend on: sources' contents, columns, splits, tokenizer."""
        return {
            "format": ["pairs", FORMAT],
            "sources": [identity(source) for source in self.sources],
            "columns": self.columns,
            "shares": self.shares,
            "policy": [self.leaks, self.limit],
            "tokenizer": self.tokenizer.identity(),
            "max_length": self.max_length,
            "shown": [self.licence, self.max_rejected],
            **self.variation,
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, merge, tokenize."""
        reader = PairReader(
            sources=self.sources,
            columns=self.columns,
            shares=self.shares,
            fold=self.fold,
            licence=self.licence,
        )
        keep = folder.parent / f"{fingerprint}.rejected.jsonl"
        rows, read = read_pairs(reader, folder, keep=keep, max_rejected=self.max_rejected)
        kept, leaks = without_leaks(rows) if self.leaks == "drop" else (rows, {})
        kept = {
            split: [self._changed(row, split) for row in part[: self.limit]] for split, part in kept.items()
        }
        tokenizer = self.save_tokenizer(folder, lambda: _training_texts(kept))
        written, longest = self._tokenize(kept, folder, tokenizer)
        return self.described(
            problem="pairs",
            sizes={split: len(part) for split, part in kept.items()},
            longest=longest,
            fingerprint=fingerprint,
            columns={**self.columns, "text": [self.columns["anchor"]]},
            tokenizer=tokenizer,
            sample=(row.anchor for part in kept.values() for row in part),
            facts={
                **read,
                "leaks": leaks,
                "pairs": {split: sum(len(row.positives) for row in part) for split, part in kept.items()},
                **written,
                "warnings": [],
            },
        )

    def _changed(self, row: PairRow, split: str) -> PairRow:
        return replace(row, anchor=self.transformed(row.anchor, split, text_id(row.anchor)))

    def _tokenize(
        self, rows: Mapping[str, Sequence[PairRow]], folder: Path, tokenizer: Any
    ) -> tuple[dict[str, Any], int]:
        """Write a file per split; returns the counts of tokens, and the longest text."""
        tokens, cut, longest = dict.fromkeys(rows, 0), dict.fromkeys(rows, 0), 0
        for split, part in rows.items():
            with pair_writer(folder / f"{split}.arrow") as writer:
                for start in progress(range(0, len(part), CHUNK), f"tokenizing {split}, in pieces"):
                    chunk = part[start : start + CHUNK]
                    texts = [text for row in chunk for text in (row.anchor, *row.positives, *row.negatives)]
                    ids = encode(texts, tokenizer, max_length=self.max_length)
                    writer.add(cells(chunk, iter(ids)))
                    lengths = [len(one) for one in ids]
                    tokens[split] += sum(lengths)
                    cut[split] += sum(length >= self.max_length for length in lengths)
                    longest = max(longest, *lengths)
        return {"tokens": tokens, "at_max_length": cut}, longest

    def table(self, folder: Path, split: str, spec: DataSpec) -> PairTable:
        """Tokens of anchors and candidates of a split."""
        return PairTable(path=folder / f"{split}.arrow", pad_id=int(spec.summary["pad_id"]))

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``anchor``, ``positive`` and ``negative`` (lists of texts) of each row."""
        return self.table(folder, split, spec).named()


def _training_texts(rows: Mapping[str, Sequence[PairRow]]) -> Iterator[str]:
    for row in rows.get("train", ()):
        yield from (row.anchor, *row.positives, *row.negatives)
