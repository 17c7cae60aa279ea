"""Labels, numbers and vectors for rows of a manifest: texts, and files beside it."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from llm_lab.data.multimodal.cells import missing
from llm_lab.data.multimodal.inputs import Inputs
from llm_lab.data.multimodal.kind import CellKind, Kind, MediaKind
from llm_lab.data.multimodal.media import decoded, held
from llm_lab.data.predict_input import read_rows
from llm_lab.data.record import UnusableError
from llm_lab.data.spec import PRESENT
from llm_lab.models.heads import Head
from llm_lab.predictors.classifier import answer_of
from llm_lab.predictors.predictor import Predictor, Row


class ManifestClassifier(Predictor):
    """``label`` and ``probability``, or ``value``; for a row that cannot be used ``problem`` says why.

    Paths in cells are relative to the manifest's folder, of standard input to the working directory.
    """

    head = Head.SEQUENCE_CLASSIFICATION
    answers: ClassVar[tuple[str, ...]] = ("label", "probability", "value", "problem")

    def __init__(self, *, folder: Path, facts: Mapping[str, Any], batch_size: int = 32) -> None:
        super().__init__(folder=folder, facts=facts, batch_size=batch_size)
        self.inputs = Inputs(facts["inputs"], key="inputs")
        self.root = Path.cwd()
        for kind in self.inputs.texts.values():
            kind.tokenizer, kind.max_length = self.tokenizer, int(facts["max_length"])

    def load_tokenizer(self, folder: Path) -> Any:
        """The tokenizer beside the model; None where it reads no text."""
        texts = any(told["kind"] == "text" for told in self.facts["inputs"].values())
        return super().load_tokenizer(folder) if texts else None

    @property
    def columns(self) -> list[str]:
        """Of the table, as training had them."""
        return self.inputs.columns

    def read(self, source: str, column: str | None) -> Iterator[Row]:
        """Yield the rows of a manifest, a row for a sound or picture itself, or rows for all those in a folder.

        ``column`` takes the place of the first input's own.
        """
        kind = next(iter(self.inputs.kinds.values()))
        if column:
            kind.given = [column]
        self.root = Path.cwd() if source == "-" else Path(source).resolve().parent
        needed = next(
            (one.columns[0] for one in self.inputs.kinds.values() if not one.optional), kind.columns[0]
        )
        if files := media_files(Path(source)):
            self.root = files[0].parent.resolve()
            return iter([{needed: file.name} for file in files])
        return read_rows(source, column=needed)

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """An answer per row, some at a time."""
        for start in range(0, len(rows), self.batch_size):
            yield from self._answers(rows[start : start + self.batch_size])

    @torch.inference_mode()
    def _answers(self, rows: list[Row]) -> Iterator[Row]:
        found = [self._cells(row) for row in rows]
        good = [cells for cells in found if isinstance(cells, dict)]
        outputs = iter(self._outputs(self._batch(good)) if good else ())
        nothing = self._nothing
        for cells in found:
            if isinstance(cells, UnusableError):
                yield {**nothing, "problem": f"{cells.reason}: {cells.detail}".rstrip(": ")}
            else:
                yield {**self._said(next(outputs), cells), "problem": ""}

    @property
    def _nothing(self) -> Row:
        return {"value": ""} if self.facts["problem"] == "regression" else {"label": "", "probability": ""}

    def _outputs(self, batch: dict[str, torch.Tensor]) -> Iterable[Any]:
        """What the model says of each row."""
        outputs: torch.Tensor = self.model(**batch).logits.float()
        return outputs

    def _said(self, output: Any, cells: Mapping[str, Any]) -> Row:
        return answer_of(output, self.model.config.id2label, self.model.config.problem_type)

    def _cells(self, row: Row) -> dict[str, Any] | UnusableError:
        try:
            return {name: self._cell(kind, row) for name, kind in self.inputs.kinds.items()}
        except UnusableError as error:
            return error

    def _cell(self, kind: Kind, row: Row) -> Any:
        """What was stored of it in training, None where an optional one is missing."""
        if isinstance(kind, CellKind):
            cells = kind.clean(row)
            return None if cells is None else np.asarray(kind.encode(cells))
        assert isinstance(kind, MediaKind)  # noqa: S101 - there are two sorts
        cell = row.get(kind.columns[0])
        if missing(held(cell)):
            if kind.optional:
                return None
            raise kind.absent()
        return decoded(kind, cell, self.root)

    def _batch(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch: dict[str, torch.Tensor] = {}
        for name, kind in self.inputs.kinds.items():
            cells = [row[name] for row in rows]
            if isinstance(kind, MediaKind):
                parts = kind.batch([kind.blank() if cell is None else cell for cell in cells], None)
            else:
                assert isinstance(kind, CellKind)  # noqa: S101 - there are two sorts
                parts = kind.batch([np.empty(0, np.int64) if cell is None else cell for cell in cells])
            batch |= {f"{name}{part}": value for part, value in parts.items()}
            if kind.optional:
                batch[f"{name}{PRESENT}"] = torch.tensor([cell is not None for cell in cells])
        return batch


def media_files(path: Path) -> list[Path]:
    """The sounds and pictures that a folder holds, or the one that a path is; none where it is a table."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and media_files(file))
    kind = mimetypes.guess_type(path.name)[0] or ""
    return [path] if path.is_file() and kind.startswith(("audio/", "image/")) else []


class ManifestEmbedder(ManifestClassifier):
    """``NAME_embedding``, a list of numbers for each input of a row, empty for one that is missing."""

    head = Head.ENCODER
    answers: ClassVar[tuple[str, ...]] = ("problem",)

    @property
    def _nothing(self) -> Row:
        return {f"{name}_embedding": [] for name in self.inputs.kinds}

    def _outputs(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.model(**batch).last_hidden_state.float()

    def _said(self, output: torch.Tensor, cells: Mapping[str, Any]) -> Row:
        vectors = dict(zip(sorted(self.inputs.kinds), output.tolist(), strict=True))
        return {
            f"{name}_embedding": vectors[name] if cells[name] is not None else []
            for name in self.inputs.kinds
        }
