"""Labels, numbers and vectors for rows of a manifest: texts, and files beside it."""

from __future__ import annotations

import glob
import mimetypes
import os
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
from llm_lab.errors import DataError
from llm_lab.models.heads import Head
from llm_lab.predictors.classifier import answer_of
from llm_lab.predictors.predictor import Predictor, Row

NEWER = {".flac": "audio/flac", ".ogg": "audio/ogg", ".webp": "image/webp"}  # than Python's own table


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
        """Yield the rows of a manifest, a row for a sound or picture itself, or rows for those of a folder or pattern.

        ``column`` takes the place of the first input's own.

        Raises:
            DataError: files where the model needs more than one of a kind that it reads, or none of that kind.
        """
        kinds = list(self.inputs.kinds.values())
        if column:
            kinds[0].given = [column]
        required = [kind for kind in kinds if not kind.optional]
        files = media_files(source)
        if files is not None:
            return self._of_files(source, files, required)
        self.root = Path.cwd() if source == "-" else Path(source).resolve().parent
        needed = next(iter((*required, *self.inputs.media.values(), *kinds)))
        return read_rows(source, column=needed.columns[0])

    def _of_files(self, source: str, files: list[Path], required: list[Kind]) -> Iterator[Row]:
        """A row for each file of the first input that takes some; others are passed over."""
        takers = required or [*self.inputs.media.values()]
        if len(required) > 1 or not takers or not isinstance(takers[0], MediaKind):
            names = ", ".join(self.columns)
            raise DataError(
                f"{source}: a file is not enough; give the model a table with the columns {names}"
            )
        kinds = {media_kind(file) for file in files}
        taker = next((one for one in takers if one.kind in kinds), takers[0])
        chosen = [file for file in files if len(files) == 1 or media_kind(file) == taker.kind]
        if not chosen:
            raise DataError(f"{source}: there is no file of the kind {taker.kind}, which the model reads")
        self.root = Path(os.path.commonpath([file.resolve().parent for file in chosen]))
        return ({taker.columns[0]: str(file.resolve().relative_to(self.root))} for file in chosen)

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


def media_files(source: str) -> list[Path] | None:
    """The files of a folder or a pattern such as ``sounds/*.wav``; a sound or picture itself; None of a table."""
    path = Path(source)
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    if not path.exists() and glob.has_magic(source):
        return sorted(file for file in map(Path, glob.glob(source)) if file.is_file())  # noqa: PTH207 - from any root
    return [path] if path.is_file() and media_kind(path) in {"audio", "image"} else None


def media_kind(path: Path) -> str:
    """``image``, ``audio``, or whatever else a name tells."""
    known = NEWER.get(path.suffix.lower()) or mimetypes.guess_type(path.name, strict=False)[0] or ""
    return known.partition("/")[0]


class ManifestEmbedder(ManifestClassifier):
    """``NAME_embedding``, a list of numbers for each input of a row, empty for those that are missing."""

    head = Head.ENCODER
    answers: ClassVar[tuple[str, ...]] = ("problem",)

    def __init__(self, *, folder: Path, facts: Mapping[str, Any], batch_size: int = 32) -> None:
        super().__init__(folder=folder, facts=facts, batch_size=batch_size)
        for kind in self.inputs.kinds.values():
            kind.optional = True  # each has a vector of its own, whatever else there is

    def _cells(self, row: Row) -> dict[str, Any] | UnusableError:
        cells = super()._cells(row)
        nothing = isinstance(cells, dict) and all(cell is None for cell in cells.values())
        return UnusableError("a row of which everything is missing") if nothing else cells

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
