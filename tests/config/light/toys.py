"""Targets for the tests of the check: read as source, never built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


class Model:
    """A model of some size."""

    def __init__(
        self,
        *,
        spec: Any,
        width: int,
        dropout: float | None = 0.1,
        pooling: Literal["cls", "mean"] = "cls",
        frozen: Sequence[int] = (),
        source: str = "",
        tokenizer: Mapping[str, Any] | None = None,
        wrappers: Mapping[str, Any] | None = None,
    ) -> None:
        raise NotImplementedError


class Deep(Model):
    """Inherits its constructor."""


class Deeper(Deep):
    """Passes on what it does not know."""

    def __init__(self, *, depth: int, **rest: Any) -> None:
        super().__init__(width=1, **rest)


@dataclass(kw_only=True)
class Data:
    """A table."""

    batch_size: int = 32
    source: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    tokenizer: Mapping[str, Any] | None = None
    seed: int = 0
    rows: int = field(init=False, default=0)


class Task:
    """An objective."""

    def __init__(
        self,
        *,
        spec: Any,
        model: Any,
        optimizer: Any,
        scheduler: Any,
        monitor: str = "val/loss",
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        raise NotImplementedError


def sgd(model: Any, *, lr: float, momentum: float = 0.9, nesterov: bool = False) -> None:
    """Plain descent."""


def linear(optimizer: Any, total_steps: int, *, warmup: float = 0.0) -> None:
    """Up, then down."""


def metric(*, num_classes: int, average: str = "macro") -> None:
    """A figure."""


class Stop:
    """A callback."""

    def __init__(self, monitor: str, patience: int = 3) -> None:
        raise NotImplementedError


def trainer(*, max_steps: int = -1, max_epochs: int | None = 1, limit_val_batches: float = 1.0) -> None:
    """A loop."""
