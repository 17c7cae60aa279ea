"""Rows with one label, several labels or a number each: how they lie in a file and become batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from llm_lab.data.arrow import IDS, INTEGERS, TYPES, ArrowWriter, TokenTable
from llm_lab.data.spec import DataSpec, Problem
from llm_lab.data.table import Batch, IntArray

LABEL_TYPES = {
    "single_label": pa.int32(),
    "multi_label": INTEGERS,
    "regression": pa.float64(),
    "transcript": INTEGERS,
}


def label_writer(
    path: Path, problem: Problem, *, paired: bool = False, beside: Sequence[str] = ()
) -> ArrowWriter:
    """A file of ``text``, ``label`` and ``input_ids``; of pairs also ``pair`` and ``token_type_ids``.

    Args:
        path: the file.
        problem: what a label is.
        paired: whether rows have two texts.
        beside: further columns of numbers, one per token.
    """
    columns = {"text": pa.string(), "label": LABEL_TYPES[problem], IDS: INTEGERS}
    pairs = {"pair": pa.string(), TYPES: INTEGERS} if paired else {}
    return ArrowWriter(path=path, columns=columns | pairs | dict.fromkeys(beside, INTEGERS))


class LabelTable(TokenTable):
    """Rows whose batches have ``labels``: int64 [B], float32 [B] of numbers, float32 [B, C] of label sets.

    Args:
        path: the file.
        spec: what the labels are.
    """

    def __init__(self, *, path: Path, spec: DataSpec) -> None:
        super().__init__(path=path, pad_id=int(spec.summary["pad_id"]))
        self.spec = spec

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tokens and labels."""
        return {**super().batch(rows, epoch), "labels": self._labels(rows)}

    def _labels(self, rows: IntArray) -> torch.Tensor:
        if self.spec.problem == "single_label":
            return self.numbers("label", rows)
        cells = self.column("label", rows)
        if self.spec.problem == "regression":
            return torch.from_numpy(np.array(cells, np.float32))
        targets = torch.zeros(len(rows), len(self.spec.labels))
        for target, cell in zip(targets, cells, strict=True):
            target[cell.astype(np.int64)] = 1.0
        return targets

    def named(self) -> Iterator[dict[str, Any]]:
        """Yield ``text``, ``pair`` where there is one, and ``label`` (name, list of names, or number) of each row."""
        names = ("text", "pair", "label") if "pair" in self.names else ("text", "label")
        for *texts, label in self.stream(*names):
            yield {**dict(zip(names, texts, strict=False)), "label": self._name(label)}

    def _name(self, label: Any) -> Any:
        if self.spec.problem in {"regression", "transcript"}:
            return label
        names = self.spec.labels
        return [names[one] for one in label] if isinstance(label, list) else names[label]
