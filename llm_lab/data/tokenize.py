"""Transform and tokenize staged rows, split by split, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_lab.data.annotations import Annotation
from llm_lab.data.arrow import IDS, TYPES
from llm_lab.data.collate import encode, encode_pairs
from llm_lab.data.labelled import label_writer
from llm_lab.data.progress import progress
from llm_lab.data.source import SPLITS
from llm_lab.data.staging import KEPT, Staging
from llm_lab.data.targets import Targets
from llm_lab.data.tokenizer_report import tokenizer_report
from llm_lab.data.transforms import apply
from llm_lab.data.woven import encode_woven

if TYPE_CHECKING:
    from llm_lab.data.text_classification import TextClassificationData

CHUNK_ROWS = 512  # tokenized together
LONG = 1 << 16  # characters of a text after which the chunk ends
Texts = tuple[str, str | None, Any, list[Annotation]]  # text, pair, target, annotations


@dataclass(kw_only=True)
class TokenCounts:
    """Rows, tokens and full-length rows per split, the longest row of all, and the tokenizer in figures."""

    pad_id: int
    sizes: dict[str, int]
    report: dict[str, Any]
    tokens: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    longest: int = 0

    def add(self, split: str, ids: list[list[int]], most: int) -> None:
        """Count some rows."""
        lengths = [len(row) for row in ids]
        self.tokens[split] = self.tokens.get(split, 0) + sum(lengths)
        self.cut[split] = self.cut.get(split, 0) + sum(length >= most for length in lengths)
        self.longest = max(self.longest, *lengths)


def tokenize(data: TextClassificationData, staging: Staging, folder: Path, targets: Targets) -> TokenCounts:
    """Write the tokenizer and an Arrow file per split that has rows.

    Raises:
        DataError: a tokenizer is to be trained and there are no training rows.
    """
    kept = staging.count(KEPT)
    sizes: dict[str, int] = {split: kept[split] for split in SPLITS if kept.get(split)}
    tokenizer = data.save_tokenizer(folder, lambda: _training_texts(data, staging, targets))
    first = _rows(data, staging, next(iter(sizes), "train"), targets)
    report = tokenizer_report(tokenizer, (text for text, *_ in first))
    counts = TokenCounts(sizes=sizes, pad_id=tokenizer.pad_token_id or 0, report=report)
    for split, size in sizes.items():
        rows = progress(_rows(data, staging, split, targets), f"tokenizing {split}", size)
        paired = data.columns.pair is not None
        with label_writer(
            folder / f"{split}.arrow", data.problem, paired=paired, beside=data.beside.columns
        ) as writer:
            for columns in _chunks(rows):
                tokens = _encode(data, columns, tokenizer)
                writer.add({**columns, **tokens})
                counts.add(split, tokens[IDS], data.max_length)
    return counts


def _encode(
    data: TextClassificationData, columns: dict[str, list[Any]], tokenizer: Any
) -> dict[str, list[list[int]]]:
    texts, pairs = columns["text"], None if columns["pair"][0] is None else columns["pair"]
    limit = data.max_length
    if data.beside.there:
        found = columns["annotations"]
        return encode_woven(texts, pairs, found, tokenizer, max_length=limit, beside=data.beside)
    if pairs is None:
        return {IDS: encode(texts, tokenizer, max_length=limit)}
    ids, types = encode_pairs(texts, pairs, tokenizer, max_length=limit)
    return {IDS: ids, TYPES: types}


def _chunks(rows: Iterator[Texts]) -> Iterator[dict[str, list[Any]]]:
    """Gather texts, pairs and targets, few where the texts are long."""
    chunk: list[Texts] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS or len(row[0]) > LONG:
            yield _columns(chunk)
            chunk = []
    if chunk:
        yield _columns(chunk)


def _columns(chunk: list[Texts]) -> dict[str, list[Any]]:
    names = ("text", "pair", "label", "annotations")
    return dict(zip(names, map(list, zip(*chunk, strict=True)), strict=True))


def _rows(data: TextClassificationData, staging: Staging, split: str, targets: Targets) -> Iterator[Texts]:
    """Yield text and pair after the transforms, encoded target, and what is known about the texts."""
    for key, values, label in staging.rows(split):
        row: dict[str, Any] = {**values, "label": targets.value(label), "split": split}
        row = apply(data.transforms, row, seed=(data.seed, key))
        yield row["text"], row.get("pair"), targets.encode(label), row.get("annotations", [])


def _training_texts(data: TextClassificationData, staging: Staging, targets: Targets) -> Iterator[str]:
    for text, pair, _, known in _rows(data, staging, "train", targets):
        yield text
        if pair is not None:
            yield pair
        yield from (fact for one in known for fact in one.facts)
