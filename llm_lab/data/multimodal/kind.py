"""What a kind of column is: how its cells are read, what is stored of them, how they become a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from llm_lab.data.record import UnusableError
from llm_lab.data.table import Batch
from llm_lab.errors import ConfigError

Array = npt.NDArray[Any]
Chance = Sequence[np.random.Generator] | None  # one per row; None where nothing is left to chance
MISSING = -1  # number of an item that is not there


class Kind(ABC):
    """The cells of one input of the model, from one or several columns of the table.

    Args:
        columns: names in the table; None takes the input's own name.
        optional: whether a row may lack it; the model then sees a learned placeholder.

    Attributes:
        kind: its name in the configuration.
        input: what the configuration calls it.
    """

    kind: ClassVar[str]

    def __init__(self, *, columns: Sequence[str] | str | None = None, optional: bool = False) -> None:
        self.input = ""
        self.given = [columns] if isinstance(columns, str) else list(columns or [])
        self.optional = optional

    @property
    def columns(self) -> list[str]:
        """Names in the table."""
        return self.given or [self.input]

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a model has to know of it and what rebuilds it: plain values, its ``kind`` among them."""

    def restore(self, facts: Mapping[str, Any]) -> None:  # noqa: B027 - most kinds are fitted to nothing
        """Take over what another of its kind was fitted to."""

    def absent(self) -> UnusableError:
        """The reason why a row without it is rejected."""
        return UnusableError(f"missing {self.kind}", self.input)


class CellKind(Kind):
    """A kind whose cells are few numbers or words, which lie in the rows themselves."""

    @abstractmethod
    def clean(self, values: Mapping[str, Any]) -> Any:
        """The cells of a row as a JSON value, None where an optional one is missing.

        Raises:
            UnusableError: they are missing or cannot be used.
        """

    def fit(self, cells: Iterable[Any]) -> None:
        """Learn from the cells of the training rows what encoding needs."""

    @abstractmethod
    def encode(self, cells: Any) -> Any:
        """What is stored of cleaned cells: a list of numbers, empty for what is missing."""

    @abstractmethod
    def batch(self, rows: Sequence[Array]) -> Batch:
        """Tensors by what is added to the input's name (nothing, ``_mask``) from what was stored."""

    @abstractmethod
    def shown(self, cells: Any) -> str:
        """Cleaned cells for a reader."""


class MediaKind(Kind):
    """A kind whose cells are files, decoded once into arrays of one type."""

    dtype: ClassVar[str]

    def __init__(self, *, columns: Sequence[str] | str | None = None, optional: bool = False) -> None:
        super().__init__(columns=columns, optional=optional)
        if len(self.given) > 1:
            raise ConfigError(f"columns: a file stands in one column, found {', '.join(self.given)}")

    @abstractmethod
    def decode(self, content: bytes) -> Array:
        """The array that is stored of a file's content.

        Raises:
            UnusableError: the content is broken, or asks for more memory than is allowed.
        """

    @abstractmethod
    def accept(self, values: Array) -> Array:
        """The same of an array that stands in the table itself.

        Raises:
            UnusableError: it has no fitting shape.
        """

    @property
    @abstractmethod
    def item(self) -> tuple[int, ...]:
        """Shape of a stored array behind its first size."""

    def derive(self, item: Array) -> Array | None:
        """What else is computed once of a stored array and kept beside it; None for nothing."""
        return None

    @property
    def derived_item(self) -> tuple[str, tuple[int, ...]]:
        """Type and shape behind the first size of what `derive` gives."""
        return self.dtype, self.item

    def wants_raw(self, *, training: bool) -> bool:
        """Whether batches are made of the stored arrays themselves, even where something is derived of them."""
        return True

    def length(self, size: int) -> int:
        """Tokens, roughly, of an item of that first size: batches are made of rows of like length."""
        return 1

    @abstractmethod
    def batch(self, items: Sequence[Array], chance: Chance) -> Batch:
        """Tensors by what is added to the input's name (nothing, ``_mask``); ``chance`` augments."""

    @abstractmethod
    def blank(self) -> Array:
        """A stored array that stands for one that is missing."""

    @abstractmethod
    def features(self, item: Array) -> npt.NDArray[np.float32]:
        """A vector [F] of an item for simple baselines, as long for every item."""
