"""Extractive question answering: questions over contexts of any length, as windows of tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_lab.data.annotations import Annotation
from llm_lab.data.arrow import TokenTable
from llm_lab.data.passages import SHARED, room
from llm_lab.data.progress import progress
from llm_lab.data.question_splits import divide, texts_of
from llm_lab.data.readers import identity
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import SPLITS, Source, parse_sources
from llm_lab.data.source_data import SourceData
from llm_lab.data.spec import DataSpec
from llm_lab.data.squad import Question, parse_columns, read_questions
from llm_lab.data.staging import key_of
from llm_lab.data.transforms import Transform
from llm_lab.data.window_table import CHUNK, QUESTION_COLUMNS, WindowTable, write_windows
from llm_lab.errors import ConfigError, DataError

FORMAT = 3  # of the prepared folder; a change makes old folders unknown


class QuestionAnsweringData(SourceData):
    """Questions whose answers are spans of a context, or that have none (SQuAD 2.0).

    No context stands in two splits: rows without a split of their own are divided by a hash of the context, and
    of a training file the contexts that a later split has are left out.

    Args:
        source: as for `llm_lab.data.text_classification.TextClassificationData`; ``.json`` is SQuAD's format, every
            other one holds a question a row.
        tokenizer: node of a `TokenizerSource`.
        licence: of the data.
        format: None tells it from the suffix; ``json`` is SQuAD's.
        columns: of rows, the column of each role: ``id``, ``question``, ``context``, ``answers`` (a text, texts, or
            texts with offsets as SQuAD or the hub has them; none for a question without an answer).
        split: shares of the contexts that go to ``val`` and ``test``; None is 0.1 each where the source gives no
            splits, and none otherwise.
        folds: see `SourceData`; no context stands in two of them.
        fold: see `SourceData`.
        limit: most questions per split.
        max_rejected: share of unusable questions above which the run stops.
        max_length: tokens of a window: question, stretch of the context, special tokens.
        stride: tokens of the context that a window shares with the one before.
        transforms: mapping from a name to a node of a `Transform`, whose ``text`` is the question, so that answers keep
            their places in a context; an ``llm_lab.data.annotations.Annotator`` reads both.
        batch_size: windows per micro-batch and rank.
        seed: of the order of the batches.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        *,
        source: str | Mapping[str, Any],
        tokenizer: Mapping[str, Any],
        licence: str,
        format: str | None = None,  # noqa: A002 - the user's word
        columns: Mapping[str, str] | None = None,
        split: Mapping[str, float] | None = None,
        folds: int | None = None,
        fold: int = 0,
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 384,
        stride: int = 128,
        shared_type: bool = False,
        transforms: Mapping[str, Any] | None = None,
        batch_size: int = 16,
        seed: int = 42,
    ) -> None:
        sources = parse_sources(source, format=format)
        super().__init__(
            sources=sources,
            tokenizer=tokenizer,
            licence=licence,
            shares=parse_shares(split, told=any(one.split for one in sources)),
            folds=folds,
            fold=fold,
            limit=limit,
            max_rejected=max_rejected,
            max_length=max_length,
            transforms=transforms,
            batch_size=batch_size,
            seed=seed,
        )
        self.columns = parse_columns(columns or {})
        self.words = max_length - self.beside.tokens  # tokens of a window without facts
        if not 0 <= stride < self.words:
            raise ConfigError(f"data.stride: {stride} tokens of windows of {self.words}")
        self.stride, self.shared_type = stride, shared_type

    def recipe(self) -> Mapping[str, Any]:
        """Return what the windows depend on."""
        return {
            "questions": FORMAT,
            "sources": [identity(one) for one in self.sources],
            "columns": self.columns,
            "shares": self.shares,
            "windows": [self.max_length, self.stride, *([SHARED] if self.shared_type else [])],
            "tokenizer": self.tokenizer.identity(),
            "kept": [self.limit, self.max_rejected, self.licence],
            **self.variation,
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, divide, cut into windows."""
        self.save_transforms(folder)
        with RejectLog(path=folder / NAME) as rejects:
            asked = list(self._read(rejects))
            total = len(asked) + rejects.reasons.total()
            self.check_rejects(rejects, rows=total, folder=folder, fingerprint=fingerprint)
            splits, counts = divide(asked, self.shares, self.limit, self.fold)
            splits = {split: [self._changed(one, split) for one in rows] for split, rows in splits.items()}
            tokenizer = self.save_tokenizer(folder, lambda: texts_of(splits["train"]))
            splits = {split: self._fitting(rows, tokenizer, rejects) for split, rows in splits.items()}
            self.check_rejects(rejects, rows=total, folder=folder, fingerprint=fingerprint)
            cut: dict[str, Any] = {
                "max_length": self.max_length,
                "stride": self.stride,
                "shared": self.shared_type,
                "known": self.known,
                "beside": self.beside,
            }
            longest, windows = 0, Counter[str]()
            for split in SPLITS:
                if splits[split]:
                    windows[split], length = write_windows(folder, split, splits[split], tokenizer, **cut)
                    longest = max(longest, length)
        sizes: dict[str, int] = {split: len(splits[split]) for split in SPLITS if splits[split]}
        if not sizes:
            raise DataError(f"no question can be used: {', '.join(self.uris)}")
        return self.described(
            problem="span",
            sizes=sizes,
            longest=longest,
            fingerprint=fingerprint,
            columns=self.columns,
            tokenizer=tokenizer,
            sample=texts_of(next(filter(None, splits.values()))),
            facts={
                "stride": self.stride,
                "shared_type": self.shared_type,
                "rows": total,
                "rejected": rejects.summary(),
                **counts,
                "windows": dict(windows),
            },
        )

    def refused(self, transform: Transform) -> str | None:
        """Nothing: texts change in the question alone, so that answers keep their places."""
        return None

    def known(self, split: str, question: Question) -> list[Annotation]:
        """What the transforms say of a question and its context."""
        return self.annotations({"question": question.question, "context": question.context, "split": split})

    def table(self, folder: Path, split: str, spec: DataSpec) -> WindowTable:
        """Windows of a split."""
        return WindowTable(folder=folder, split=split, pad_id=int(spec.summary["pad_id"]))

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``id``, ``question``, ``context``, ``answers`` of each question."""
        for values in TokenTable(path=folder / f"{split}.questions.arrow", pad_id=0).stream(
            *QUESTION_COLUMNS
        ):
            yield dict(zip(QUESTION_COLUMNS, values, strict=True))

    def _read(self, rejects: RejectLog) -> Iterator[tuple[Source, Question]]:
        for source in self.sources:
            read = read_questions(source, self.columns, licence=self.licence)
            for one in progress(read, "reading"):
                if isinstance(one, Rejected):
                    rejects.add(one)
                else:
                    yield source, one

    def _changed(self, asked: Question, split: str) -> Question:
        return replace(asked, question=self.transformed(asked.question, split, key_of(asked.question)))

    def _fitting(self, asked: Sequence[Question], tokenizer: Any, rejects: RejectLog) -> list[Question]:
        """The questions that leave room for a window to advance; the others are rejected, never cut."""
        fitting: list[Question] = []
        for start in range(0, len(asked), CHUNK):
            some = asked[start : start + CHUNK]
            for one, left in zip(some, room(some, tokenizer, max_length=self.words), strict=True):
                if left > self.stride:
                    fitting.append(one)
                else:
                    rejects.add(Rejected(*one.place, "question too long for data.max_length", one.id))
        return fitting
