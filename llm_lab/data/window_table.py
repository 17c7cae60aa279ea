"""How the windows of questions lie in a file and become batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from llm_lab.data.annotations import Annotation, Beside
from llm_lab.data.arrow import IDS, INTEGERS, TYPES, ArrowWriter, TokenTable
from llm_lab.data.collate import pad_column
from llm_lab.data.passages import passages
from llm_lab.data.squad import Question
from llm_lab.data.table import Batch, IntArray

CHUNK = 256  # questions tokenized together
WINDOW_COLUMNS = {
    "question": pa.int32(), "first": pa.int32(), "start": pa.int32(), "end": pa.int32(),
    "lows": INTEGERS, "highs": INTEGERS, IDS: INTEGERS, TYPES: INTEGERS,
}  # fmt: skip
QUESTION_COLUMNS = {
    "id": pa.string(), "question": pa.string(), "context": pa.string(), "answers": pa.list_(pa.string()),
}  # fmt: skip


def write_windows(
    folder: Path,
    split: str,
    asked: Sequence[Question],
    tokenizer: Any,
    *,
    max_length: int,
    stride: int,
    shared: bool,
    known: Callable[[str, Question], list[Annotation]],
    beside: Beside,
) -> tuple[int, int]:
    """Write questions and windows, see `passages`; return how many windows there are, and the tokens of the longest.

    ``known`` gives the annotations of a question of a split, which take their room ``beside`` the rest.
    """
    total = longest = 0
    columns = WINDOW_COLUMNS | dict.fromkeys(beside.columns, INTEGERS)
    sizes: dict[str, Any] = {"max_length": max_length - beside.tokens, "stride": stride, "shared": shared}
    with (
        ArrowWriter(path=folder / f"{split}.questions.arrow", columns=QUESTION_COLUMNS) as questions,
        ArrowWriter(path=folder / f"{split}.arrow", columns=columns) as writer,
    ):
        for start in range(0, len(asked), CHUNK):
            some = asked[start : start + CHUNK]
            questions.add({name: [getattr(one, name) for one in some] for name in QUESTION_COLUMNS})
            about = [known(split, one) for one in some] if beside.there else []
            cut = list(passages(some, tokenizer, **sizes, annotations=about, beside=beside))
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
                    **{name: [getattr(window, name) for window in cut] for name in beside.columns},
                }
            )
            total += len(cut)
            longest = max([longest, *(len(window.ids) for window in cut)])
    return total, longest


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
