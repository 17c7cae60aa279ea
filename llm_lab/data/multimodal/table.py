"""Rows of several modalities as batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from llm_lab.data.arrow import INTEGERS, ArrowWriter
from llm_lab.data.labelled import LABEL_TYPES, LabelTable
from llm_lab.data.multimodal.inputs import Inputs
from llm_lab.data.multimodal.kind import MISSING, CellKind, Kind, MediaKind
from llm_lab.data.multimodal.media import open_store
from llm_lab.data.multimodal.transcripts import WRITTEN, target_batch
from llm_lab.data.pair_rows import text_id
from llm_lab.data.spec import ID, KEY, PRESENT, SAME, DataSpec, Problem
from llm_lab.data.table import Batch, IntArray

NUMBERS = pa.list_(pa.float32())
SHOWN, LEFT_OUT = "shown", "(text left out)"


def row_writer(path: Path, inputs: Inputs, problem: Problem) -> ArrowWriter:
    """A file with a column for each input, the label, and what a reader sees of the row."""
    columns = {name: _type(kind) for name, kind in inputs.kinds.items()}
    label = {} if problem == "modalities" else {"label": LABEL_TYPES[problem]}
    if problem == "transcript":
        label[WRITTEN] = pa.string()
    same = {SAME: pa.int64()} if inputs.same else {}
    return ArrowWriter(path=path, columns={**columns, SHOWN: pa.string(), **same, **label})


def _type(kind: Kind) -> pa.DataType:
    if isinstance(kind, MediaKind):
        return pa.int32()
    return NUMBERS if kind.kind == "number" else INTEGERS


class ModalityTable(LabelTable):
    """Rows whose batches have tensors for each input, see `llm_lab.data.multimodal.kind`, and ``labels``.

    Where inputs alone belong together, ``NAME_id`` and ``same`` int64 [B] are in the place of labels.

    An optional input has ``NAME_present`` bool [B] beside it; what is missing is blank.

    Args:
        path: the file of the rows.
        spec: of the data.
        inputs: the kinds, fitted.
        training: whether rows are augmented.
        seed: of augmentation, with epoch and row.
        hidden: whether rows have texts that are no input here, and that nobody is to see.
    """

    def __init__(
        self, *, path: Path, spec: DataSpec, inputs: Inputs, training: bool, seed: int, hidden: bool = False
    ) -> None:
        super().__init__(path=path, spec=spec)
        self.hidden = hidden
        self.folder = path.parent
        self.inputs, self.training, self.seed = inputs, training, seed
        self.stores = {
            name: open_store(self.folder, kind, derived=not kind.wants_raw(training=training))
            for name, kind in inputs.media.items()
        }
        raw = {name: open_store(self.folder, kind) for name, kind in inputs.media.items()}
        self._sizes = {
            name: np.array([kind.length(int(size)) for size in raw[name].sizes()] or [0], np.int64)
            for name, kind in inputs.media.items()
        }

    def lengths(self, rows: IntArray) -> IntArray:
        """Tokens, frames and pictures of each row together."""
        total = np.ones(len(rows), np.int64)
        for name, kind in self.inputs.kinds.items():
            if isinstance(kind, MediaKind):
                total += self._sizes[name][np.maximum(self.numbers(name, rows).numpy(), 0)]
            elif kind.kind == "text":
                total += self.counts(name, rows)
        return total

    def batch(self, rows: IntArray, epoch: int) -> Batch:
        """Tensors of every input, and labels; a batch without rows gets a filler."""
        chosen = rows if len(rows) else np.zeros(1, np.int64)
        chance = None
        if self.training:
            chance = [np.random.default_rng([self.seed, epoch, int(row)]) for row in chosen]
        batch: Batch = {}
        for name, kind in self.inputs.kinds.items():
            cells = self.column(name, chosen)
            batch |= {f"{name}{part}": value for part, value in self._tensors(kind, cells, chance).items()}
            if kind.optional:
                batch[f"{name}{PRESENT}"] = torch.tensor([_is_there(kind, cell) for cell in cells])
        batch |= {
            f"{name}{KEY}": self._ids(kind, chosen)
            for name, kind in self.inputs.kinds.items()
            if not self._varies(kind)
        }
        if self.spec.problem == "transcript":
            texts = None if self.training else [self.written[row] for row in rows]
            return batch | target_batch(self.column("label", rows), texts)
        if self.spec.problem != "modalities":
            return {**batch, "labels": self._labels(rows)}
        ids = {f"{name}{ID}": self._ids(kind, chosen) for name, kind in self.inputs.kinds.items()}
        return {**batch, **ids, SAME: self._same(chosen)}

    def _same(self, rows: IntArray) -> torch.Tensor:
        """Numbers int64 [B] of what makes rows belong together."""
        return self.numbers(SAME, rows) if self.inputs.same else torch.full((len(rows),), MISSING)

    def weights(self, rows: IntArray, epoch: int) -> IntArray:
        """Targets of each row: one, or the tokens of its text with their end."""
        if self.spec.problem != "transcript":
            return super().weights(rows, epoch)
        return self.counts("label", rows)

    @cached_property
    def written(self) -> list[str]:
        """The texts that are targets."""
        return [text for (text,) in self.stream(WRITTEN)]

    def _varies(self, kind: Kind) -> bool:
        return bool(self.training and getattr(kind, "augment", None))

    def _ids(self, kind: Kind, rows: IntArray) -> torch.Tensor:
        """Numbers int64 [B] by which equal contents of an input are known."""
        if isinstance(kind, MediaKind):
            return self.numbers(kind.input, rows)
        return torch.tensor([_content(kind, cell.tolist()) for cell in self.column(kind.input, rows)])

    def _tensors(self, kind: Kind, cells: list[Any], chance: Any) -> Batch:
        if isinstance(kind, CellKind):
            return kind.batch(cells)
        assert isinstance(kind, MediaKind)  # noqa: S101 - there are two sorts
        store = self.stores[kind.input]
        items = [store[number] if number != MISSING else kind.blank() for number in map(int, cells)]
        return kind.batch(items, chance)

    def named(self) -> Iterator[dict[str, Any]]:
        """Yield ``text`` (what a reader sees), ``label`` and ``features`` (a vector for baselines) of each row.

        Where inputs alone belong together, ``inputs`` and ``ids`` are in the place of the label: a vector of each
        input, of a text its tokens in words, and the number of its content, `MISSING` where it is not there; and
        ``same``. ``identity`` is the same whatever inputs are chosen.
        """
        raw = {name: open_store(self.folder, kind) for name, kind in self.inputs.media.items()}
        kinds = self.inputs.kinds
        known: dict[tuple[str, int], Any] = {}
        labelled = self.spec.problem != "modalities"
        target = WRITTEN if self.spec.problem == "transcript" else "label"
        told = [target] if labelled else [SAME] if self.inputs.same else []
        for shown, *rest in self.stream(SHOWN, *told, *kinds):
            cells = dict(zip(kinds, rest[len(told) :], strict=True))
            vectors = {name: self._vector(kinds[name], cell, raw, known) for name, cell in cells.items()}
            label = {"label": self._name(rest[0])} if labelled else {}
            row = {
                "text": LEFT_OUT if self.hidden else shown,
                **label,
                "features": np.concatenate([*vectors.values()]),
                "identity": [shown, label],
            }
            if labelled:
                yield row
                continue
            words = {name: " ".join(map(str, cells[name])) for name in self.inputs.texts}
            ids = {name: _content(kinds[name], cell) for name, cell in cells.items()}
            yield {**row, "inputs": vectors | words, "ids": ids, SAME: rest[0] if told else MISSING}

    def _vector(
        self, kind: Kind, cell: Any, raw: Mapping[str, Any], known: dict[tuple[str, int], Any]
    ) -> Any:
        """What a simple baseline sees of an input: nothing of a text, which it has in words."""
        if isinstance(kind, MediaKind):
            key = (kind.input, int(cell))
            if key not in known:
                item = kind.blank() if cell == MISSING else raw[kind.input][int(cell)]
                known[key] = kind.features(item)
            return known[key]
        if kind.kind == "text":
            return np.empty(0, np.float32)
        assert isinstance(kind, CellKind)  # noqa: S101 - there are two sorts
        values = kind.batch([np.asarray(cell)])[""][0].numpy()
        return values.astype(np.float32) if kind.kind == "number" else _one_hot(kind, values)


def _content(kind: Kind, cell: Any) -> int:
    """The number by which equal contents are known."""
    if not _is_there(kind, cell):
        return MISSING
    return int(cell) if isinstance(kind, MediaKind) else text_id(repr(cell))


def _one_hot(kind: Any, numbers: Any) -> Any:
    parts = [
        np.eye(len(one) + 1, dtype=np.float32)[number]
        for one, number in zip(kind.values, numbers, strict=True)
    ]
    return np.concatenate(parts)


def _is_there(kind: Kind, cell: Any) -> bool:
    return int(cell) != MISSING if isinstance(kind, MediaKind) else len(cell) > 0
