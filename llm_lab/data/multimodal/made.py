"""Steps between reading and cleaning that make rows of rows, and cells whose sound is made when it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from llm_lab.data.record import Record, Rejected
from llm_lab.errors import ConfigError

Reader = Callable[[Any], bytes]
"""Gives the content of the file that a cell names."""


class Made(ABC):
    """A cell in the place of a file; equal ones have equal content, and ``repr`` tells one from another."""

    @abstractmethod
    def content(self, read: Reader) -> bytes:
        """The sound as a file's content.

        Args:
            read: reads the files that it is made of.

        Raises:
            UnusableError: it cannot be made of them.
        """

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that it is made of."""
        return ()

    def at(self, path: Callable[[str], str]) -> Made:
        """The same with other names of its files."""
        del path
        return self


class RowStep(ABC):
    """Makes rows of the rows of a source; its constructor's arguments are the settings."""

    @abstractmethod
    def needed(self, columns: Sequence[str]) -> list[str]:
        """The columns that the source must have, where these are wanted behind the step."""

    @abstractmethod
    def rows(self, records: Iterator[Record | Rejected]) -> Iterator[Record | Rejected]:
        """Yield what becomes of the records; what was rejected passes."""


def pair_of(values: Sequence[float], name: str) -> tuple[float, float]:
    """Least and most of a setting.

    Raises:
        ConfigError: not two numbers in this order, or negative ones.
    """
    if len(values) != 2 or not 0 <= values[0] <= values[1]:  # noqa: PLR2004 - the two
        raise ConfigError(f"{name}: [LEAST, MOST] is wanted, found {list(values)}")
    return values[0], values[1]


def beside(record: Record, values: Mapping[str, Any]) -> Record:
    """The record with other values beside its own."""
    return Record(record.file, record.line, {**record.values, **values})
