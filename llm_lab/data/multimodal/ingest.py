"""Clean rows out of records with files: decoded some at a time, the rows in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from llm_lab import assets
from llm_lab.config.nearest import by_likeness
from llm_lab.data.columns import CleanRow
from llm_lab.data.labels import Reader
from llm_lab.data.multimodal.inputs import Inputs
from llm_lab.data.multimodal.kind import MISSING
from llm_lab.data.multimodal.made import Made
from llm_lab.data.multimodal.media import MediaWriter
from llm_lab.data.multimodal.transcripts import too_long
from llm_lab.data.readers import as_uri, hub_name, read
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.source import Source
from llm_lab.data.spec import SAME
from llm_lab.errors import ConfigError

CELLS = "cells"  # under which the staging keeps a row's inputs as JSON
FILES = "*files"  # among them, where no input has this name: what a reader knows those by that are files
MOST_SEEN, TOLD = 1000, 20  # different values of a column that are kept for an error, and that it tells
CHUNK = 512  # records whose files are decoded together
Cleaned = tuple[Record | Rejected, CleanRow | Rejected | None]


class Cleaner:
    """Reads sources and makes rows of them whose values are JSON.

    Args:
        inputs: what a row holds.
        writers: take the files, by input.
        read_label: see `llm_lab.data.labels`.
        labelled: whether rows have labels.
        licence: of the data.
        held_out: column -> values whose rows are the test split; all others are for training.
        frames_per_character: of a target that is a text, see `MultimodalData`.
    """

    def __init__(
        self,
        *,
        inputs: Inputs,
        writers: dict[str, MediaWriter],
        read_label: Reader,
        labelled: bool,
        licence: str,
        held_out: Mapping[str, Sequence[str]] | None = None,
        frames_per_character: float | None = None,
    ) -> None:
        self.frames_per_character = frames_per_character
        self.held_out = held_out or {}
        self.inputs, self.writers = inputs, writers
        self.read_label, self.labelled, self.licence = read_label, labelled, licence
        self._roots: dict[str, Path] = {}
        self._seen: dict[str, set[str]] = {name: set() for name in self.held_out}

    def rows(self, source: Source, pool: ThreadPoolExecutor) -> Iterator[Cleaned]:
        """Yield each record of a source with the row that became of it, or why none did."""
        optional = tuple(c for kind in self.inputs.kinds.values() if kind.optional for c in kind.columns)
        records = read(
            replace(source, optional=optional), self.needed(source, optional), licence=self.licence
        )
        while chunk := list(islice(records, CHUNK)):
            good = [record for record in chunk if isinstance(record, Record)]
            for name, writer in self.writers.items():
                column = self.inputs.kinds[name].columns[0]
                writer.take((self._file(record, column, source) for record in good), pool)
            for record in chunk:
                yield record, self._row(record, source)

    def needed(self, source: Source, optional: tuple[str, ...]) -> list[str]:
        """The columns that a source must have, the label's last."""
        roles, same = self.inputs.roles.needed(source), self.inputs.same
        roles = [name for name in roles if self.labelled or name not in self.inputs.roles.label]
        needed = [
            *(c for c in self.inputs.columns if c not in optional),
            *self.held_out,
            *([same] if same else []),
            *roles,
        ]
        return list(dict.fromkeys(needed))

    def _row(self, record: Record | Rejected, source: Source) -> CleanRow | Rejected | None:
        if isinstance(record, Rejected):
            return record
        try:
            roles = self.inputs.roles.clean(record, source, self.read_label if self.labelled else _unlabelled)
            if roles is None:
                return None
            cells = self._cells(record, source)
            self._check_room(roles.label, cells)
        except UnusableError as error:
            return Rejected(record.file, record.line, error.reason, error.detail)
        text = self._identity(cells)
        cells[FILES] = {name: self._name(record, name, source, cells[name]) for name in self.writers}
        if self.inputs.same:
            cells[SAME] = str(record.values.get(self.inputs.same))
        values = {"text": text, CELLS: json.dumps(cells, ensure_ascii=False)}
        return replace(roles, values=values, split="test" if self._held_out(record) else roles.split)

    def _check_room(self, label: str, cells: Mapping[str, Any]) -> None:
        """Reject a row whose first sound is too short for its text."""
        sounds = [name for name in self.writers if self.inputs.kinds[name].kind == "audio"]
        if self.frames_per_character and sounds and cells[sounds[0]] != MISSING:
            frames = self.writers[sounds[0]].length(cells[sounds[0]])
            if problem := too_long(label, frames, self.frames_per_character):
                raise problem

    def _held_out(self, record: Record) -> bool:
        cells = {name: str(record.values.get(name)) for name in self.held_out}
        for name, cell in cells.items():
            if len(self._seen[name]) < MOST_SEEN or cell in self.held_out[name]:
                self._seen[name].add(cell)
        return any(cell in self.held_out[name] for name, cell in cells.items())

    def check_held_out(self) -> None:
        """Raise a ConfigError where no row has a value that was to be held out; after all rows were read."""
        for name, values in self.held_out.items():
            for value in values:
                if value not in self._seen[name]:
                    near = by_likeness(value, self._seen[name])
                    there = ", ".join(f"`{one}`" for one in near[:TOLD])
                    raise ConfigError(f"data.held_out.{name}: no row has `{value}`; there is {there}")

    def _file(self, record: Record, column: str, source: Source) -> tuple[Any, Path]:
        """A cell, and the folder that it is relative to where it is a path: that of the source that it is from."""
        origin = record.origins.get(column, source)
        place = origin.root or origin.uri
        if place not in self._roots:
            self._roots[place] = root_of(origin, licence=self.licence)
        return _path(record.values.get(column), origin), self._roots[place]

    def _cells(self, record: Record, source: Source) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        for name in self.inputs.media:
            cells[name] = self.writers[name].number(
                *self._file(record, self.inputs.kinds[name].columns[0], source)
            )
        cells |= {name: kind.clean(record.values) for name, kind in self.inputs.cells.items()}
        if all(cell is None or (name in self.writers and cell == MISSING) for name, cell in cells.items()):
            raise UnusableError("a row of which everything is missing")
        return cells

    def _name(self, record: Record, name: str, source: Source, number: int) -> str:
        """What a reader knows a file by: its name, else its number; nothing of one that is missing."""
        cell, _ = self._file(record, self.inputs.kinds[name].columns[0], source)
        told = Path(cell).name if isinstance(cell, str) else f"{name} {number}"
        return "" if number == MISSING else told

    def _identity(self, cells: dict[str, Any]) -> str:
        """What tells a row from another, whatever its label."""
        parts = [
            self.writers[name].digests[cell] if name in self.writers and cell != MISSING else str(cell)
            for name, cell in cells.items()
        ]
        return "\n".join(parts)


def root_of(source: Source, *, licence: str = "") -> Path:
    """The folder that paths in a source's cells are relative to: ``root``, else the source's own folder."""
    if source.root is not None:
        return assets.resolve(as_uri(source.root), licence=licence)
    if source.format == "hub":
        return _hub_root(Path(hub_name(source.uri)))
    path = assets.resolve(as_uri(source.uri), licence=licence)
    return path if path.is_dir() else path.parent


def _hub_root(folder: Path) -> Path:
    """Where files lie that a hub data set names and does not hold: in it, or in the cache of the hub's libraries."""
    from huggingface_hub.constants import HF_HOME

    return folder if folder.is_dir() else Path(HF_HOME)


def _path(cell: Any, source: Source) -> Any:
    """A cell as a path, by the source's ``path`` where that says how."""
    if source.path is None or cell is None:
        return cell
    pattern = source.path
    if isinstance(cell, Made):
        return cell.at(lambda one: pattern.replace("{}", one))
    return pattern.replace("{}", str(cell))


def _unlabelled(_: Any) -> str:
    return ""
