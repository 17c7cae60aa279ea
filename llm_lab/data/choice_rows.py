"""A text, the texts that might belong to it, and the one that does: checked cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.text_files import check_text

FEWEST = 2  # choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A text, its choices, and the number of the right one."""

    text: str
    choices: tuple[str, ...]
    label: int


def clean(record: Record, columns: Mapping[str, Any]) -> Choice | Rejected:
    """Check a record."""
    try:
        text = _text(record.values.get(columns["text"]))
        choices = choices_of(record.values, columns["choices"])
        return Choice(text=text, choices=choices, label=_number(record.values.get(columns["label"]), choices))
    except UnusableError as error:
        return Rejected(record.file, record.line, error.reason, error.detail)


def choices_of(values: Mapping[str, Any], names: str | Sequence[str]) -> tuple[str, ...]:
    """The choices of a row: of a column that holds a list, or of a column for each, empty ones left out.

    Raises:
        UnusableError: fewer than two.
    """
    columns = as_list(names)
    cells = [values.get(name) for name in columns]
    if len(columns) == 1:
        cells = list(cells[0]) if isinstance(cells[0], Sequence) and not isinstance(cells[0], str) else []
    found = tuple(_text(cell) for cell in cells if cell is not None and cell != "")
    if len(found) < FEWEST:
        raise UnusableError("fewer than two choices", cells)
    return found


def _number(cell: Any, choices: Sequence[str]) -> int:
    """The right choice, told by its number from 0, its letter from A, or its text."""
    word = str(cell).strip()
    if word in choices:
        return choices.index(word)
    number = int(word) if word.isdecimal() else ord(word.upper()) - ord("A") if len(word) == 1 else -1
    if not 0 <= number < len(choices):
        raise UnusableError("unknown label", f"`{word}` of {len(choices)} choices")
    return number


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise UnusableError("empty text" if cell is None else "text is not a string", cell)
    return check_text(cell)


def as_list(names: str | Sequence[str]) -> list[str]:
    """One name or several."""
    return [names] if isinstance(names, str) else list(names)
