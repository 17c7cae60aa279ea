"""Multiple choice: a question, the texts that might be right, and the one that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from llm_lab.config import build
from llm_lab.data.arrow import IDS, INTEGERS, TYPES, ArrowWriter, TokenTable
from llm_lab.data.collate import encode_pairs, pad, pad_column
from llm_lab.data.module import TOKENIZER, DataModule
from llm_lab.data.readers import identity, read
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import SPLITS, parse_sources
from llm_lab.data.spec import DataSpec
from llm_lab.data.staging import KEYS, folded, key_of
from llm_lab.data.table import Batch, IntArray
from llm_lab.data.text_files import check_text
from llm_lab.data.tokenizer_report import tokenizer_report
from llm_lab.data.tokenizers import TokenizerSource
from llm_lab.errors import ConfigError, DataError

CHUNK = 256  # rows tokenized together
FEWEST = 2  # choices
COLUMNS = {
    "text": pa.string(), "choices": pa.list_(pa.string()), "label": pa.int32(),
    IDS: INTEGERS, TYPES: INTEGERS, "lengths": INTEGERS,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A text, its choices, and the number of the right one."""

    text: str
    choices: tuple[str, ...]
    label: int


class MultipleChoiceData(DataModule):
    """Rows of a text (a question, the beginning of a story) and choices, of which one belongs to it.

    Args:
        source: as for `llm_lab.data.text_classification.TextClassificationData`.
        tokenizer: node of a `TokenizerSource`.
        licence: of the data.
        format: None tells it from the suffix.
        columns: the column of each role: ``text``, ``label`` (a number from 0, a letter from A, or the right text)
            and ``choices``, either one column that holds a list or a column for each.
        split: shares of the texts that go to ``val`` and ``test`` by a hash; None is 0.1 each where the source gives
            no splits, and none otherwise.
        limit: most rows per split.
        max_rejected: share of unusable rows above which the run stops.
        max_length: most tokens of a text with one of its choices.
        batch_size: rows per micro-batch and rank.
        seed: of the order of the batches.
    """

    def __init__(
        self,
        *,
        source: str | Mapping[str, Any],
        tokenizer: Mapping[str, Any],
        licence: str,
        format: str | None = None,  # noqa: A002 - the user's word
        columns: Mapping[str, Any] | None = None,
        split: Mapping[str, float] | None = None,
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 128,
        batch_size: int = 16,
        seed: int = 42,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.sources = parse_sources(source, format=format)
        self.columns = {"text": "text", "choices": "choices", "label": "label"} | dict(columns or {})
        if len(self.columns) > len(COLUMNS.keys() & self.columns.keys()):
            raise ConfigError(
                f"data.columns: the roles are text, choices, label, found {sorted(self.columns)}"
            )
        given = any(one.split for one in self.sources)
        self.shares = parse_shares(split, told=given)
        self.limit, self.max_rejected, self.max_length, self.licence = (
            limit,
            max_rejected,
            max_length,
            licence,
        )
        self.tokenizer: TokenizerSource = build(tokenizer, expected=TokenizerSource, key="data.tokenizer")

    def recipe(self) -> Mapping[str, Any]:
        """Return what the tokens depend on."""
        return {
            "choices": 1,
            "sources": [identity(one) for one in self.sources],
            "columns": {role: as_list(names) for role, names in self.columns.items()},
            "kept": [self.shares, self.limit, self.max_rejected, self.max_length, self.licence],
            "tokenizer": self.tokenizer.identity(),
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, divide, tokenize."""
        from transformers import AutoTokenizer

        with RejectLog(path=folder / NAME) as rejects:
            splits = self._read(rejects)
        total = sum(map(len, splits.values())) + rejects.reasons.total()
        rejects.check(
            rows=total, most=self.max_rejected, keep=folder.parent / f"{fingerprint}.rejected.jsonl"
        )
        splits = {split: rows[: self.limit] for split, rows in splits.items() if rows}
        if "train" not in splits:
            raise DataError("there are no training rows")
        texts = [text for row in splits["train"] for text in (row.text, *row.choices)]
        self.tokenizer.save(folder / TOKENIZER, lambda: iter(texts))
        tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, trust_remote_code=False)
        longest = max(
            self._write(folder / f"{split}.arrow", rows, tokenizer) for split, rows in splits.items()
        )
        return DataSpec(
            problem="choice",
            labels=(),
            sizes={split: len(rows) for split, rows in splits.items()},
            tokenizer=Path(TOKENIZER),
            max_length=longest,
            fingerprint=fingerprint,
            summary={
                "licence": self.licence,
                "columns": {role: as_list(names) for role, names in self.columns.items()},
                "truncated_at": self.max_length,
                "sources": [one.uri for one in self.sources],
                "rows": total,
                "rejected": rejects.summary(),
                "choices": dict(Counter(len(row.choices) for rows in splits.values() for row in rows)),
                "tokenizer": tokenizer_report(tokenizer, texts),
                "pad_id": tokenizer.pad_token_id or 0,
            },
        )

    def table(self, folder: Path, split: str, spec: DataSpec) -> ChoiceTable:
        """Tokens and labels of a split."""
        return ChoiceTable(path=folder / f"{split}.arrow", pad_id=int(spec.summary["pad_id"]))

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``text``, ``choices`` and ``label`` (a number from 0) of each row."""
        names = ("text", "choices", "label")
        for values in self.table(folder, split, spec).stream(*names):
            yield dict(zip(names, values, strict=True))

    def _read(self, rejects: RejectLog) -> dict[str, list[Choice]]:
        """Rows by split; of texts in two splits the later keeps its own."""
        made: dict[str, list[Choice]] = {split: [] for split in SPLITS}
        given = {one.split for one in self.sources}
        shares = {split: share for split, share in self.shares.items() if split not in given}
        for source in self.sources:
            needed = [name for names in self.columns.values() for name in as_list(names)]
            for record in read(source, needed, licence=self.licence):
                row = record if isinstance(record, Rejected) else clean(record, self.columns)
                if isinstance(row, Rejected):
                    rejects.add(row)
                else:
                    split = str(source.split) if source.split in {"val", "test"} else _share_of(row, shares)
                    made[split].append(row)
        for split, later in (("val", "test"), ("train", "test"), ("train", "val")):
            taken = {folded(row.text) for row in made[later]}
            made[split] = [row for row in made[split] if folded(row.text) not in taken]
        return made

    def _write(self, path: Path, rows: Sequence[Choice], tokenizer: Any) -> int:
        """Write rows; return the tokens of the longest choice."""
        longest = 0
        with ArrowWriter(path=path, columns=COLUMNS) as writer:
            for start in range(0, len(rows), CHUNK):
                some = rows[start : start + CHUNK]
                told = [
                    tokenized(row.text, row.choices, tokenizer, max_length=self.max_length) for row in some
                ]
                lengths = [[len(ids) for ids in each] for each, _ in told]
                longest = max(longest, *(max(one) for one in lengths))
                writer.add(
                    {
                        "text": [row.text for row in some],
                        "choices": [row.choices for row in some],
                        "label": [row.label for row in some],
                        IDS: [list(chain.from_iterable(ids)) for ids, _ in told],
                        TYPES: [list(chain.from_iterable(types)) for _, types in told],
                        "lengths": lengths,
                    }
                )
        return longest


class ChoiceTable(TokenTable):
    """Rows whose batches are [B, C, T]; a row of fewer choices is filled up with ones that hold no token."""

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tokens of every choice, and ``labels`` [B]."""
        lengths = self.column("lengths", rows)
        parts = [
            [
                np.split(cell, np.cumsum(cut)[:-1])
                for cell, cut in zip(self.column(name, rows), lengths, strict=True)
            ]
            for name in (IDS, TYPES)
        ]
        return {**stack(*parts, pad_id=self.pad_id), "labels": self.numbers("label", rows)}


def stack(ids: Sequence[Sequence[Any]], types: Sequence[Sequence[Any]], *, pad_id: int) -> Batch:
    """Tokens, mask and types [B, C, T] of the choices of rows; for no rows one of two choices, as a filler."""
    empty = np.zeros(0, np.int32)
    most = max(map(len, ids), default=FEWEST)
    flat = [choice for row in ids for choice in [*row, *[empty] * (most - len(row))]]
    batch = pad(flat or [np.array([pad_id], np.int32)] * most, pad_id=pad_id)
    told = [choice for row in types for choice in [*row, *[empty] * (most - len(row))]]
    batch[TYPES] = pad_column(told, like=batch[IDS], fill=0)
    return {name: value.reshape(-1, most, value.shape[-1]) for name, value in batch.items()}


def tokenized(
    text: str, choices: Sequence[str], tokenizer: Any, *, max_length: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens, and their types, of the text with each choice."""
    return encode_pairs([text] * len(choices), choices, tokenizer, max_length=max_length)


def clean(record: Record, columns: Mapping[str, Any]) -> Choice | Rejected:
    """Check a record."""
    try:
        text = _text(record.values.get(columns["text"]))
        choices = choices_of(record.values, columns["choices"])
        return Choice(text=text, choices=choices, label=_number(record.values.get(columns["label"]), choices))
    except UnusableError as error:
        return Rejected(record.file, record.line, error.reason, error.detail)


def choices_of(values: Mapping[str, Any], names: str | Sequence[str]) -> tuple[str, ...]:
    """The choices of a row: of a column that holds a list, or of a column for each, empty ones left out.

    Raises:
        UnusableError: fewer than two.
    """
    columns = as_list(names)
    cells = [values.get(name) for name in columns]
    if len(columns) == 1:
        cells = list(cells[0]) if isinstance(cells[0], Sequence) and not isinstance(cells[0], str) else []
    found = tuple(_text(cell) for cell in cells if cell not in {None, ""})
    if len(found) < FEWEST:
        raise UnusableError("fewer than two choices", cells)
    return found


def _number(cell: Any, choices: Sequence[str]) -> int:
    """The right choice, told by its number from 0, its letter from A, or its text."""
    word = str(cell).strip()
    if word in choices:
        return choices.index(word)
    number = int(word) if word.isdecimal() else ord(word.upper()) - ord("A") if len(word) == 1 else -1
    if not 0 <= number < len(choices):
        raise UnusableError("unknown label", f"`{word}` of {len(choices)} choices")
    return number


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise UnusableError("empty text" if cell is None else "text is not a string", cell)
    return check_text(cell)


def as_list(names: str | Sequence[str]) -> list[str]:
    """One name or several."""
    return [names] if isinstance(names, str) else list(names)


def _share_of(row: Choice, shares: Mapping[str, float]) -> str:
    place = key_of(folded(row.text)) / KEYS
    if place < shares.get("test", 0):
        return "test"
    return "val" if place < shares.get("test", 0) + shares.get("val", 0) else "train"
