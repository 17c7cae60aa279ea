"""Extractive question answering: questions over contexts of any length, as windows of tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from llm_lab.config import build
from llm_lab.data.arrow import IDS, INTEGERS, TYPES, ArrowWriter, TokenTable
from llm_lab.data.collate import pad_column
from llm_lab.data.module import TOKENIZER, DataModule
from llm_lab.data.passages import SHARED, passages, room
from llm_lab.data.progress import progress
from llm_lab.data.readers import identity
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import SPLITS, Source, parse_sources
from llm_lab.data.spec import DataSpec
from llm_lab.data.squad import Question, parse_columns, read_questions
from llm_lab.data.staging import KEYS, folded, key_of
from llm_lab.data.table import Batch, IntArray
from llm_lab.data.tokenizer_report import tokenizer_report
from llm_lab.data.tokenizers import TokenizerSource
from llm_lab.errors import ConfigError, DataError

FORMAT = 3  # of the prepared folder; a change makes old folders unknown
CHUNK = 256  # questions tokenized together
WINDOW_COLUMNS = {
    "question": pa.int32(), "first": pa.int32(), "start": pa.int32(), "end": pa.int32(),
    "lows": INTEGERS, "highs": INTEGERS, IDS: INTEGERS, TYPES: INTEGERS,
}  # fmt: skip
QUESTION_COLUMNS = {
    "id": pa.string(), "question": pa.string(), "context": pa.string(), "answers": pa.list_(pa.string()),
}  # fmt: skip


class QuestionAnsweringData(DataModule):
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
        limit: most questions per split.
        max_rejected: share of unusable questions above which the run stops.
        max_length: tokens of a window: question, stretch of the context, special tokens.
        stride: tokens of the context that a window shares with the one before.
        shared_type: give the tokens of the context that stand in the question a token type of their own, for a
            model with ``type_vocab_size`` 3 (the exact-match feature of Chen et al. 2017,
            https://arxiv.org/abs/1704.00051).
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
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 384,
        stride: int = 128,
        shared_type: bool = False,
        batch_size: int = 16,
        seed: int = 42,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.sources = parse_sources(source, format=format)
        self.columns = parse_columns(columns or {})
        given = any(one.split for one in self.sources)
        self.shares = parse_shares(split, told=given)
        if not 0 <= stride < max_length:
            raise ConfigError(f"data.stride: {stride} tokens of windows of {max_length}")
        self.limit, self.max_rejected, self.licence = limit, max_rejected, licence
        self.max_length, self.stride, self.shared_type = max_length, stride, shared_type
        self.tokenizer: TokenizerSource = build(tokenizer, expected=TokenizerSource, key="data.tokenizer")

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
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, divide, cut into windows."""
        from transformers import AutoTokenizer

        with RejectLog(path=folder / NAME) as rejects:
            asked = list(self._read(rejects))
            total = len(asked) + rejects.reasons.total()
            rejects.check(
                rows=total, most=self.max_rejected, keep=folder.parent / f"{fingerprint}.rejected.jsonl"
            )
            splits, counts = divide(asked, self.shares, self.limit)
            self.tokenizer.save(folder / TOKENIZER, lambda: _texts(splits["train"]))
            tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, trust_remote_code=False)
            longest, cut = 0, Counter[str]()
            for split in SPLITS:
                splits[split] = self._fitting(splits[split], tokenizer, rejects)
                if splits[split]:
                    cut[split], length = self._write(folder, split, splits[split], tokenizer)
                    longest = max(longest, length)
        sizes: dict[str, int] = {split: len(splits[split]) for split in SPLITS if splits[split]}
        if not sizes:
            raise DataError(f"no question can be used: {', '.join(one.uri for one in self.sources)}")
        return DataSpec(
            problem="span",
            labels=(),
            sizes=sizes,
            tokenizer=Path(TOKENIZER),
            max_length=longest,
            fingerprint=fingerprint,
            summary={
                "licence": self.licence,
                "columns": self.columns,
                "truncated_at": self.max_length,
                "stride": self.stride,
                "shared_type": self.shared_type,
                "sources": [one.uri for one in self.sources],
                "rows": total,
                "rejected": rejects.summary(),
                **counts,
                "windows": dict(cut),
                "tokenizer": tokenizer_report(tokenizer, _texts(next(filter(None, splits.values())))),
                "pad_id": tokenizer.pad_token_id or 0,
            },
        )

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

    def _fitting(self, asked: Sequence[Question], tokenizer: Any, rejects: RejectLog) -> list[Question]:
        """The questions that leave room for a window to advance; the others are rejected, never cut."""
        fitting: list[Question] = []
        for start in range(0, len(asked), CHUNK):
            some = asked[start : start + CHUNK]
            for one, left in zip(some, room(some, tokenizer, max_length=self.max_length), strict=True):
                if left > self.stride:
                    fitting.append(one)
                else:
                    rejects.add(Rejected("", 0, "question too long for data.max_length", one.id))
        return fitting

    def _write(self, folder: Path, split: str, asked: Sequence[Question], tokenizer: Any) -> tuple[int, int]:
        """Write questions and windows; return how many windows there are, and the tokens of the longest."""
        total = longest = 0
        with (
            ArrowWriter(path=folder / f"{split}.questions.arrow", columns=QUESTION_COLUMNS) as questions,
            ArrowWriter(path=folder / f"{split}.arrow", columns=WINDOW_COLUMNS) as writer,
        ):
            for start in range(0, len(asked), CHUNK):
                some = asked[start : start + CHUNK]
                questions.add({name: [getattr(one, name) for one in some] for name in QUESTION_COLUMNS})
                sizes = {"max_length": self.max_length, "stride": self.stride}
                cut = list(passages(some, tokenizer, **sizes, shared=self.shared_type))
                targets = [window.target(some[window.question].span) for window in cut]
                writer.add(
                    {
                        "question": [start + window.question for window in cut],
                        "first": [window.first for window in cut],
                        "start": [first for first, _ in targets],
                        "end": [last for _, last in targets],
                        "lows": [[low for low, _ in window.spans] for window in cut],
                        "highs": [[high for _, high in window.spans] for window in cut],
                        IDS: [window.ids for window in cut],
                        TYPES: [window.types for window in cut],
                    }
                )
                total += len(cut)
                longest = max([longest, *(len(window.ids) for window in cut)])
        return total, longest


def divide(
    asked: Iterable[tuple[Source, Question]], shares: Mapping[str, float], limit: int | None
) -> tuple[dict[str, list[Question]], dict[str, int]]:
    """Questions by split, with counts of those whose answers were moved, of duplicates in training and of leaks.

    A split that a source gives is not made another time; of contexts in two given splits the later keeps its own.
    """
    asked = list(asked)
    given = {source.split for source, _ in asked}
    shares = {split: share for split, share in shares.items() if split not in given}
    splits: dict[str, list[Question]] = {split: [] for split in SPLITS}
    counts: Counter[str] = Counter({"moved": 0, "duplicates": 0, "leaks": 0})
    seen: set[tuple[int, str]] = set()
    owner: dict[int, str] = {}
    order = ("test", "val", "train")
    placed = [(source.split, key_of(folded(one.context)), one) for source, one in asked]
    made = [
        (_share_of(key, shares) if split in {None, "train"} else str(split), key, one)
        for split, key, one in placed
    ]
    for split, key, _ in sorted(made, key=lambda row: order.index(row[0])):
        owner.setdefault(key, split)
    for split, key, one in made:
        counts["moved"] += one.moved
        if owner[key] != split:
            counts["leaks"] += 1
        elif split == "train" and (key, one.question) in seen:
            counts["duplicates"] += 1
        else:
            seen.add((key, one.question))
            splits[split].append(one)
    return {split: _first(rows, limit) for split, rows in splits.items()}, dict(counts)


def _share_of(key: int, shares: Mapping[str, float]) -> str:
    place = key / KEYS
    if place < shares.get("test", 0):
        return "test"
    return "val" if place < shares.get("test", 0) + shares.get("val", 0) else "train"


def _first(rows: list[Question], limit: int | None) -> list[Question]:
    """At most so many questions, by a hash, in their order."""
    if limit is None or len(rows) <= limit:
        return rows
    kept = sorted(range(len(rows)), key=lambda n: key_of(rows[n].id + rows[n].question))[:limit]
    return [rows[n] for n in sorted(kept)]


def _texts(asked: Iterable[Question]) -> Iterator[str]:
    """What a tokenizer learns from: every question, every context once."""
    seen: set[int] = set()
    empty = True
    for one in asked:
        empty = False
        yield one.question
        if key_of(one.context) not in seen:
            seen.add(key_of(one.context))
            yield one.context
    if empty:
        raise DataError("a tokenizer is to be trained, and there are no training questions")


class WindowTable(TokenTable):
    """Windows whose batches have ``labels`` [B, 2], first and last token of the answer.

    Those that are scored have also ``question`` [B], ``spans`` [B, T, 2] (first character and the one behind the last
    of each token in the context; -1 for tokens of no context), and as code points, filled up with -1, ``context``
    [B, C] and ``answers`` [B, A, L].

    Args:
        folder: of the prepared data.
        split: whose windows; those of ``train`` are not scored.
        pad_id: see `TokenTable`.
    """

    def __init__(self, *, folder: Path, split: str, pad_id: int) -> None:
        super().__init__(path=folder / f"{split}.arrow", pad_id=pad_id)
        self.texts = None if split == "train" else _Texts(folder / f"{split}.questions.arrow")

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tokens and labels, and what scoring needs."""
        batch = super().batch(rows, epoch)
        batch["labels"] = torch.stack([self.numbers(name, rows) for name in ("start", "end")], dim=1)
        if self.texts is None:
            return batch
        question = self.numbers("question", rows)
        lows, highs = self._places("lows", rows, batch[IDS]), self._places("highs", rows, batch[IDS])
        scored = {"question": question, "spans": torch.stack([lows, highs], dim=-1)}
        return {**batch, **scored, **self.texts.batch(question.tolist())}

    def _places(self, name: str, rows: IntArray, like: torch.Tensor) -> torch.Tensor:
        cells = zip(self.column("first", rows), self.column(name, rows), strict=True)
        shifted = [np.concatenate([np.full(first, -1), cell]) for first, cell in cells]
        return pad_column(shifted, like=like[: len(rows)], fill=-1)


class _Texts:
    """Contexts and answers of a split by the number of the question."""

    def __init__(self, path: Path) -> None:
        self.rows = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()

    def batch(self, questions: Sequence[int]) -> Batch:
        contexts = [self.rows["context"][n].as_py() for n in questions]
        answers = [self.rows["answers"][n].as_py() for n in questions]
        most = max(map(len, answers), default=0)
        flat = to_codes([text for some in answers for text in [*some, *[""] * (most - len(some))]])
        return {"context": to_codes(contexts), "answers": flat.reshape(len(questions), most, flat.shape[1])}


def to_codes(texts: Sequence[str]) -> torch.Tensor:
    """Texts as code points, int32 [N, L], filled up with -1: tensors travel with a batch, strings do not."""
    codes = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.int32) for text in texts]
    filled = np.full((len(codes), max(map(len, codes), default=0)), -1, np.int32)
    for row, one in zip(filled, codes, strict=True):
        row[: len(one)] = one
    return torch.from_numpy(filled)


def from_codes(codes: torch.Tensor) -> str:
    """The text of code points [L]."""
    found = codes.cpu().numpy()
    return found[found >= 0].astype("<i4").tobytes().decode("utf-32-le", "surrogatepass")
