"""What all pretraining objectives share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from torchmetrics import MeanMetric

from llm_lab.data.spec import DataSpec
from llm_lab.tasks.attention import within_documents
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.task import Batch, Task

FIXED = -1  # epoch of the noise in validation and test: the same at every time


class Language(Task):
    """Learns from text alone; a subclass makes the targets (`targeted`).

    Args:
        spec: see `Task`.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        regularizers: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.language_metrics`.
        seed: of the noise.
    """

    causal = False

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        self.seed = seed
        self.mean_loss = MeanMetric()
        self.metrics = collection(metrics)

    def targeted(self, batch: Batch) -> Batch:
        """The batch with inputs and targets of the objective; by default the data's own."""
        return batch

    @abstractmethod
    def measured(self, outputs: Any, batch: Batch, losses: Tensor) -> dict[str, Tensor]:
        """Values for the metrics, by the names of their arguments."""

    @property
    def noise_epoch(self) -> int:
        """The epoch in training, a constant where figures are to be compared."""
        return self.current_epoch if self.training else FIXED

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model gets: tokens, and attention within documents."""
        chosen = {name: batch[name] for name in ("input_ids", "token_type_ids") if name in batch}
        if "segments" in batch:
            places = {name: batch[name] for name in ("segments", "position_ids")}
            return chosen | within_documents(self.network().config, **places, causal=self.causal)
        mask = batch.get("attention_mask")
        return chosen | ({} if mask is None or bool(mask.all()) else {"attention_mask": mask})

    def training_step(self, batch: Batch) -> Tensor:
        """See `Task.training_step`."""
        return super().training_step(self.targeted(batch))

    def validation_step(self, batch: Batch) -> None:
        """Score a batch under fixed noise."""
        batch = self.targeted(batch)
        outputs = self(batch)
        losses = self.losses(outputs, batch)
        if losses.numel():
            self.mean_loss.update(losses.mean(), weight=losses.numel())
            self.metrics.update(**self.measured(outputs, batch, losses))

    def test_step(self, batch: Batch) -> None:
        """Score a batch under fixed noise."""
        self.validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss``, the mean per target over the split, and the metrics."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``."""
        self._log("test")

    def _log(self, split: str) -> None:
        values = {"loss": self.mean_loss.compute(), **self.metrics.compute()}
        self.mean_loss.reset()
        self.metrics.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")


def nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each target [N] that is not -100, from logits [..., V] and targets [...]."""
    targets = targets.flatten()
    losses = F.cross_entropy(logits.flatten(0, -2), targets, reduction="none", ignore_index=-100)
    return losses[targets != -100]  # noqa: PLR2004 - the library's own number
