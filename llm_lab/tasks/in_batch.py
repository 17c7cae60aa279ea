"""What tasks have in common that learn from pairs whose negatives are the rest of the batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from llm_lab.data.spec import DataSpec
from llm_lab.models.heads import Head
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.rank_metrics import Kept
from llm_lab.tasks.task import Batch, Task


class InBatch(Task):
    """A task whose loss is of a whole batch, that of all ranks, and whose figures are of a whole split.

    The gradient does not depend on the number of ranks: each computes the loss of all, and has the gradient with
    regard to its own rows, which the strategy adds up. Accumulated micro-batches do not see each other's rows.

    Args:
        spec: see `Task`.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.retrieval_metrics`.
        regularizers: see `Task`.
        split: keeps what `told` tells of each batch.
    """

    head = Head.ENCODER

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None,
        split: Kept,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        self.split = split
        self.metrics = collection(metrics)

    @abstractmethod
    def told(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Vectors of a batch with the numbers by which their contents are known."""

    @abstractmethod
    def losses_of(self, told: Mapping[str, Tensor]) -> Tensor:
        """Losses of the targets of a batch or a split."""

    @abstractmethod
    def measured(self, told: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The metrics of a split; a name with a slash is kept out of the progress bar."""

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Losses of the targets of all ranks, from the vectors of this one; others come without gradient."""
        return self.losses_of(
            {name: self.gathered(value) for name, value in self.told(outputs, batch).items()}
        )

    def validation_step(self, batch: Batch) -> None:
        """Keep the vectors of a batch."""
        self.split.update(**self.told(self(batch), batch))

    def test_step(self, batch: Batch) -> None:
        """Keep the vectors of a batch."""
        self.validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss`` and the metrics, over the whole split, however it is cut."""
        self._flush("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``."""
        self._flush("test")

    def _flush(self, split: str) -> None:
        told = self.split.compute()
        self.split.reset()
        values = {"loss": self.losses_of(told).mean(), **self.measured(told)}
        for name, value in values.items():
            self.log(f"{split}/{name}", value, prog_bar=split == "val" and "/" not in name)
