"""How questions over a graph lie in a file and become batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from llm_lab.data.arrow import IDS, INTEGERS, ArrowWriter, TokenTable
from llm_lab.data.collate import encode, pad
from llm_lab.data.graph_question_rows import Asked
from llm_lab.data.table import Batch, IntArray
from llm_lab.knowledge.construction.topic import Topic

CHUNK = 256  # questions tokenized together
COLUMNS = {
    "text": pa.string(), "topic": pa.int32(), "relations": INTEGERS, "answers": INTEGERS,
    IDS: INTEGERS, "masked_ids": INTEGERS,
}  # fmt: skip


def mask_of(tokenizer: Any) -> str:
    """What stands for a topic's name in a masked question."""
    return str(tokenizer.mask_token or tokenizer.unk_token or "it")


def write_questions(path: Path, rows: Sequence[Asked], tokenizer: Any, *, max_length: int) -> int:
    """Write questions; return the tokens of the longest."""
    longest, mask = 0, mask_of(tokenizer)
    with ArrowWriter(path=path, columns=COLUMNS) as writer:
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            texts = [one.text for one in some]
            masked = [Topic(one.topic, one.start, one.end).hidden(one.text, mask) for one in some]
            ids, hidden = (encode(each, tokenizer, max_length=max_length) for each in (texts, masked))
            longest = max(longest, *map(len, [*ids, *hidden]))
            columns = {
                name: [getattr(one, name) for one in some] for name in ("topic", "relations", "answers")
            }
            writer.add({"text": texts, **columns, IDS: ids, "masked_ids": hidden})
    return longest


class GraphQuestionTable(TokenTable):
    """Questions as they stand, and with the topic's name masked.

    A batch has ``input_ids``, ``attention_mask`` [B, T], ``masked_ids``, ``masked_mask`` [B, U], ``topics`` [B],
    ``steps`` [B, H] (relations of the path; from its end on R, which stays where it is), and the right answers as
    ``answer_rows``, ``answers`` [K].

    Args:
        path: the file.
        pad_id: token number that fills rows up.
        hops: steps of the longest path.
        relations: of the graph.
    """

    def __init__(self, *, path: Path, pad_id: int, hops: int, relations: int) -> None:
        super().__init__(path=path, pad_id=pad_id)
        self.hops, self.relations = hops, relations

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """See above."""
        masked = pad(self.column("masked_ids", rows), pad_id=self.pad_id)
        steps = np.full((len(rows), self.hops), self.relations, np.int64)
        for place, cell in enumerate(self.column("relations", rows)):
            steps[place, : len(cell)] = cell[: self.hops]
        answers = self.column("answers", rows)
        counts = [len(cell) for cell in answers]
        return {
            **super().batch(rows, epoch),
            "masked_ids": masked["input_ids"],
            "masked_mask": masked["attention_mask"],
            "topics": self.numbers("topic", rows),
            "steps": torch.from_numpy(steps),
            "answer_rows": torch.from_numpy(np.repeat(np.arange(len(rows)), counts)),
            "answers": torch.from_numpy(np.concatenate([np.empty(0, np.int64), *answers]).astype(np.int64)),
        }
