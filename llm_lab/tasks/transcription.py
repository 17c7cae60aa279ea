"""What objectives that write a text for each row have in common: how it is told from the truth."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from transformers import AutoTokenizer

from llm_lab.data.multimodal.transcripts import WRITTEN, end_of
from llm_lab.data.spec import DataSpec
from llm_lab.data.window_table import from_codes
from llm_lab.tasks.rank_metrics import Kept
from llm_lab.tasks.task import Batch, Task
from llm_lab.tasks.writing_metrics import text_metrics

SHOWN = 20  # rows of the report's table
TITLE = "Texts with the most errors"


class Counts(Kept):
    """Row numbers [B] with errors and the length they are measured by, of each metric [B, M, 2]."""

    names = ("index", "counts")


class Transcription(Task):
    """Writes a text for each row; a subclass says by which loss it learns, and how it writes.

    Each token of the targets weighs the same, their ends among them.

    Args:
        spec: see `Task`.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name: torchmetrics of texts, and of `llm_lab.tasks.language_metrics` those of nats.
        regularizers: see `Task`.
        beams: texts that are followed at once when one is written; 1 takes the likeliest symbol each time. It is saved
            with the model.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        beams: int = 1,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        self.beams = beams
        self.tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer, trust_remote_code=False)
        self.none, self.end = int(self.tokenizer.pad_token_id or 0), end_of(self.tokenizer)
        self.mean_loss = MeanMetric()
        self.metrics, self.likelihoods = (text_metrics(metrics, texts=texts) for texts in (True, False))
        self.single = text_metrics(metrics)  # counts one row at a time
        self.ratios = [str(name) for name, one in self.single.items() if hasattr(one, "total")]
        self.counts = Counts()
        self.worst: list[tuple[float, str, str]] = []

    @abstractmethod
    def texts(self, outputs: Tensor, batch: Batch) -> list[str]:
        """What is written for each row of a batch."""

    @property
    def in_parts(self) -> bool:
        """Whether ranks with other rows hold parts of the weights, so that all write where one does."""
        return self.parallel is not None and self.parallel.shards and self.replicas() > 1

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model gets: all but the text itself."""
        return {name: value for name, value in super().inputs(batch).items() if name != WRITTEN}

    def validation_step(self, batch: Batch) -> None:
        """Score a batch."""
        self._score(batch)

    def test_step(self, batch: Batch) -> None:
        """Score a batch, and count the errors of each row."""
        found = [self._counted(*pair) for pair in self._score(batch)]
        if found:
            self.counts.update(index=batch["index"], counts=torch.stack(found).to(self.device))

    def _score(self, batch: Batch) -> list[tuple[str, str]]:
        """Texts that were written, with those that should have been."""
        outputs = self(batch)
        losses = self.losses(outputs, batch)
        said = self.texts(outputs, batch) if losses.numel() or self.in_parts else []
        if not losses.numel():
            return []
        self.mean_loss.update(losses.mean(), weight=losses.numel())
        written = [from_codes(one) for one in batch[WRITTEN]]
        self.metrics.update(said, written)
        self.likelihoods.update(nats=losses)
        return list(zip(said, written, strict=True))

    def _counted(self, said: str, written: str) -> Tensor:
        """Errors and length [M, 2] of a row, by each metric."""
        self.single.reset()
        self.single.update([said], [written])
        ratios = [ratio(self.single[name]) for name in self.ratios]
        if said != written:
            counts: list[Any] = [getattr(one, "errors", None) for one in self.single.values()]
            errors = next((float(count) for count in counts if count is not None), 1.0)
            self.worst = sorted([*self.worst, (-errors, written, said)])[:SHOWN]
        return torch.stack(ratios) if ratios else torch.empty(0, 2)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss``, the mean per token, and the metrics."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``; each row's share and the worst rows for the report."""
        kept = self.counts.compute()
        found = kept["counts"][kept["index"].argsort()]
        self.row_scores = {name: found[:, number] for number, name in enumerate(self.ratios)}
        self.tables = {TITLE: [{"text": text, "written": said} for _, text, said in self.worst]}
        self.counts.reset()
        self._log("test")

    def exported(self, module: nn.Module) -> nn.Module:
        """The model, with what `predict` needs in its configuration."""
        config = cast("Any", module).config
        config.decoder = {**config.decoder, "beams": self.beams}
        return super().exported(module)

    def _log(self, split: str) -> None:
        several = (self.likelihoods, self.metrics)
        values = {"loss": self.mean_loss.compute()} | {
            k: v for one in several for k, v in one.compute().items()
        }
        for one in (self.mean_loss, *several):
            one.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")


def ratio(metric: Any) -> Tensor:
    """Numerator and denominator [2] of a metric: errors, or what was right, and of how many."""
    return torch.stack([metric.errors if hasattr(metric, "errors") else metric.right, metric.total]).double()
