"""Texts, numbers and categories as kinds of columns."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from llm_lab.data.multimodal.kind import Array, CellKind
from llm_lab.data.record import UnusableError
from llm_lab.data.table import Batch
from llm_lab.data.text_files import check_text
from llm_lab.errors import ConfigError

LARGEST = float(
    np.finfo(np.float32).max
)  # a larger number cannot be squared, nor is it one that was measured
FARTHEST = 1e4  # deviations from the mean: half precision holds no more than 65,504
ROUNDING = 1e-14  # of the mean: a smaller deviation is that of a constant
UNKNOWN = 0  # number of a value that training did not show, or that is missing


class Text(CellKind):
    """Texts, several columns joined by line breaks: int64 [B, T] tokens with a mask.

    Args:
        columns: see `Kind`.
        optional: see `Kind`.
        replace: regular expression -> what takes the place of each match, one after the other.
    """

    kind = "text"

    def __init__(
        self,
        *,
        columns: Sequence[str] | str | None = None,
        optional: bool = False,
        replace: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(columns=columns, optional=optional)
        self.replace = dict(replace or {})
        for pattern, replacement in self.replace.items():
            try:
                re.compile(pattern)
                re.sub(pattern, replacement, "")
            except (re.error, IndexError) as error:  # the latter for a group that has no such name
                told = f"{pattern!r} by {replacement!r}"
                raise ConfigError(f"replace: {told} is no regular expression: {error}") from None
        self.tokenizer: Any = None  # set by whoever has it
        self.max_length = 0

    def clean(self, values: Mapping[str, Any]) -> str | None:
        """The text without surrounding space."""
        cells = [values.get(name) for name in self.columns]
        parts = [cell for cell in cells if not missing(cell)]
        if len(parts) < len(cells):
            if self.optional:
                return None
            raise self.absent()
        text = "\n".join(_string(part) for part in parts)
        for pattern, replacement in self.replace.items():
            text = re.sub(pattern, replacement, text)
        return check_text(text)

    def encode(self, cells: Any) -> list[int]:
        """Token numbers, cut to the longest length."""
        if cells is None:
            return []
        tokens = self.tokenizer(cells, truncation=True, max_length=self.max_length, verbose=False)[
            "input_ids"
        ]
        return list(tokens)

    def batch(self, rows: Sequence[Array]) -> Batch:
        """``""``: token numbers; ``_mask``: which of them are no padding."""
        from llm_lab.data.collate import pad

        filler = np.zeros(1, np.int32)
        pad_id = self.tokenizer.pad_token_id or 0
        found = pad([row if len(row) else filler for row in rows], pad_id=pad_id)
        return {"": found["input_ids"], "_mask": found["attention_mask"]}

    def shown(self, cells: Any) -> str:
        """The text."""
        return str(cells or "")

    def facts(self) -> dict[str, Any]:
        """What rebuilds the kind."""
        names = ("columns", "optional", "replace")
        return {"kind": self.kind, **{name: getattr(self, name) for name in names}}


class Number(CellKind):
    """Numbers, standardized by the training rows: float32 [B, 2 N], each with a 1 beside it where it is there.

    A number that is missing is the mean; one far out counts as 10,000 deviations. Rows that lack all of them lack the
    input.

    Args:
        columns: see `Kind`.
        optional: see `Kind`; without it a number may still be missing where another of the input is there.
        centre: mean of each column; found in the training rows.
        scale: standard deviation of each; found there as well.
    """

    kind = "number"

    def __init__(
        self,
        *,
        columns: Sequence[str] | str | None = None,
        optional: bool = False,
        centre: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        super().__init__(columns=columns, optional=optional)
        self.centre = list(centre or [])
        self.scale = list(scale or [])

    def clean(self, values: Mapping[str, Any]) -> list[float | None] | None:
        """A number or None for each column."""
        cells = [_number(values.get(name), name) for name in self.columns]
        return _some(self, cells)

    def fit(self, cells: Iterable[Any]) -> None:
        """Mean and deviation of each column, in one pass (Welford 1962): squares of large numbers would cancel."""
        count, mean, squares = (np.zeros(len(self.columns)) for _ in range(3))
        for row in cells:
            if row is not None:
                known = np.array([value is not None for value in row])
                filled = np.array([value or 0.0 for value in row])
                step = np.where(known, filled - mean, 0)
                count += known
                mean += step / np.maximum(count, 1)
                squares += step * (filled - mean)
        if not count.any():
            return
        spread = np.sqrt(squares / np.maximum(count, 1))
        varied = spread > ROUNDING * np.abs(mean)
        self.centre, self.scale = mean.tolist(), np.where(varied, spread, 1.0).tolist()

    def encode(self, cells: Any) -> list[float]:
        """Standardized values, then marks of those that are there."""
        if cells is None:
            return []
        if not self.centre:
            raise ConfigError(
                f"data.columns.{self.input}: there are no training rows to standardize numbers by"
            )
        scaled = [
            0.0 if cell is None else max(-FARTHEST, min(FARTHEST, (cell - centre) / scale))
            for cell, centre, scale in zip(cells, self.centre, self.scale, strict=True)
        ]
        return [*scaled, *(float(cell is not None) for cell in cells)]

    def batch(self, rows: Sequence[Array]) -> Batch:
        """``""``: float32 [B, 2 N]."""
        return {"": torch.from_numpy(_filled(rows, 2 * len(self.columns), np.float32))}

    def shown(self, cells: Any) -> str:
        """Names and values."""
        told = zip(self.columns, cells or (), strict=False)
        return ", ".join(f"{name} {value:g}" for name, value in told if value is not None)

    def facts(self) -> dict[str, Any]:
        """Columns, and what they are standardized by."""
        fitted = {"centre": self.centre, "scale": self.scale}
        return {"kind": self.kind, "columns": self.columns, "optional": self.optional, **fitted}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Mean and deviation of another set."""
        self.centre, self.scale = list(facts["centre"]), list(facts["scale"])


class Category(CellKind):
    """Values of a few: int64 [B, N], numbers from 1 in the order of their frequency in training; 0 is unknown.

    Args:
        columns: see `Kind`.
        optional: see `Kind`; without it a value may still be missing where another of the input is there.
        min_count: values in fewer training rows are unknown.
        most: values of a column, the most frequent ones.
        values: of each column; found in the training rows.
    """

    kind = "category"

    def __init__(
        self,
        *,
        columns: Sequence[str] | str | None = None,
        optional: bool = False,
        min_count: int = 2,
        most: int = 1000,
        values: Sequence[Sequence[str]] | None = None,
    ) -> None:
        super().__init__(columns=columns, optional=optional)
        self.min_count, self.most = min_count, most
        self.values = [list(column) for column in values or []]

    def clean(self, values: Mapping[str, Any]) -> list[str | None] | None:
        """A value or None for each column."""
        cells = [
            None if missing(cell := values.get(name)) else _string(cell).strip() for name in self.columns
        ]
        return _some(self, cells)

    def fit(self, cells: Iterable[Any]) -> None:
        """Collect the values of each column."""
        counts: list[Counter[str]] = [Counter() for _ in self.columns]
        for row in cells:
            for counter, value in zip(counts, row or (), strict=False):
                if value is not None:
                    counter[value] += 1
        if any(counts) or not self.values:  # a column that training never has knows no value
            self.values = [
                [value for value, times in sorted(one.items(), key=lambda item: (-item[1], item[0]))
                 if times >= self.min_count][: self.most]
                for one in counts
            ]  # fmt: skip

    def encode(self, cells: Any) -> list[int]:
        """The number of each value."""
        if cells is None:
            return []
        known = [{value: number for number, value in enumerate(one, start=1)} for one in self.values]
        return [one.get(cell, UNKNOWN) for one, cell in zip(known, cells, strict=True)]

    def batch(self, rows: Sequence[Array]) -> Batch:
        """``""``: int64 [B, N]."""
        return {"": torch.from_numpy(_filled(rows, len(self.columns), np.int64))}

    def shown(self, cells: Any) -> str:
        """Names and values."""
        told = zip(self.columns, cells or (), strict=False)
        return ", ".join(f"{name} {value}" for name, value in told if value is not None)

    def facts(self) -> dict[str, Any]:
        """Columns and their values."""
        names = ("columns", "optional", "min_count", "most", "values")
        return {"kind": self.kind, **{name: getattr(self, name) for name in names}}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """The values of another set."""
        self.values = [list(column) for column in facts["values"]]


def missing(cell: Any) -> bool:
    """Whether nothing stands in a cell."""
    return (
        cell is None
        or (isinstance(cell, float) and math.isnan(cell))
        or (isinstance(cell, str) and not cell.strip())
    )


def _string(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _number(cell: Any, name: str) -> float | None:
    if missing(cell):
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError) as error:
        number = math.inf if isinstance(error, OverflowError) else math.nan
    if math.isnan(number):
        raise UnusableError("not a number", f"{name}: `{cell}`")
    if abs(number) > LARGEST:
        raise UnusableError("number too large", f"{name}: `{cell}`")
    return number


def _some(kind: CellKind, cells: list[Any]) -> list[Any] | None:
    if any(cell is not None for cell in cells):
        return cells
    if kind.optional:
        return None
    raise kind.absent()


def _filled(rows: Sequence[Array], width: int, dtype: Any) -> Array:
    values = np.zeros((len(rows), width), dtype)
    for number, row in enumerate(rows):
        if len(row):
            values[number] = row
    return values
