"""Where in a context the answer to a question begins and ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from torchmetrics import MeanMetric

from llm_lab.data.annotations import BESIDE
from llm_lab.data.passages import SHARED
from llm_lab.data.spec import DataSpec
from llm_lab.data.window_table import from_codes
from llm_lab.errors import ConfigError
from llm_lab.models.heads import Head
from llm_lab.tasks.segments import without_foreign_types
from llm_lab.tasks.squad_metrics import OfQuestions, answer_metrics
from llm_lab.tasks.task import Batch, Task

SETTINGS = "reading"  # of the saved configuration: what a reader of it needs beside the weights


class QuestionAnswering(Task):
    """Cross-entropy of the first and of the last token of the answer, over the windows of every question.

    A window without the answer points to its first token (Devlin et al. 2019). At evaluation the best span of all
    windows of a question is its answer, by the sum of its two logits, unless the first token's exceed that in every
    window by more than ``null_threshold``.

    Args:
        spec: see `Task`.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.squad_metrics`.
        regularizers: see `Task`.
        max_answer: most tokens of an answer.
        null_threshold: None answers every question.
    """

    head = Head.QUESTION_ANSWERING

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        max_answer: int = 30,
        null_threshold: float | None = None,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        self.max_answer, self.null_threshold = max_answer, null_threshold
        self.mean_loss = MeanMetric()
        self.metrics = answer_metrics(metrics)

    def configure_model(self) -> None:
        """As `Task.configure_model`.

        Raises:
            ConfigError: the data marks shared words, and the model has no token type for them.
        """
        super().configure_model()
        types = int(getattr(cast("Any", self.model).config, "type_vocab_size", 0) or 0)
        if self.spec.summary.get("shared_type") and types <= SHARED:
            raise ConfigError(
                f"data.shared_type: the model tells {types or 'no'} token types apart, {SHARED + 1} are wanted; a BERT "
                f"from random weights has them by model.sizes.type_vocab_size={SHARED + 1}"
            )

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """Tokens, types where the model knows them, and what stands beside the tokens."""
        names = ("input_ids", "attention_mask", "token_type_ids", *BESIDE)
        inputs = {name: batch[name] for name in names if name in batch}
        return without_foreign_types(inputs, self.network())

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T, 2] of first and last token; what is no token has the lowest there is."""
        outputs = self.network()(**self.inputs(batch))
        logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1).float()
        padding = (batch["attention_mask"] == 0).unsqueeze(-1)
        logits = logits.masked_fill(padding, torch.finfo(logits.dtype).min)
        return logits[: len(batch["index"])] if "index" in batch else logits

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean of the two losses of each window, [B]."""
        return F.cross_entropy(outputs, batch["labels"], reduction="none").mean(dim=-1)

    def validation_step(self, batch: Batch) -> None:
        """Score a batch."""
        outputs = self(batch)
        losses = self.losses(outputs, batch)
        if not losses.numel():
            return
        self.mean_loss.update(losses.mean(), weight=losses.numel())
        score, null, spans = best_spans(outputs, batch["spans"], longest=self.max_answer)
        texts = [
            from_codes(context[low:high])
            for context, (low, high) in zip(batch["context"], spans, strict=True)
        ]
        answers = [[text for text in map(from_codes, some) if text] for some in batch["answers"]]
        null = null - (torch.inf if self.null_threshold is None else self.null_threshold)
        self.metrics.update(batch["question"], score, null, texts, answers)

    def test_step(self, batch: Batch) -> None:
        """Score a batch."""
        self.validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss``, the mean per window, and the metrics, means per question."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``."""
        each = {name: cast("OfQuestions", metric).each() for name, metric in self.metrics.items()}
        self.row_scores = {name: torch.stack([one, torch.ones_like(one)], -1) for name, one in each.items()}
        self._log("test")

    def _log(self, split: str) -> None:
        values = {"loss": self.mean_loss.compute(), **self.metrics.compute()}
        self.mean_loss.reset()
        self.metrics.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")

    def exported(self, module: nn.Module) -> nn.Module:
        """The model, with what `predict` needs in its configuration."""
        reading = {
            "stride": self.spec.summary.get("stride", 0),
            "shared_type": self.spec.summary.get("shared_type", False),
            "max_answer": self.max_answer,
            "null_threshold": self.null_threshold,
        }
        setattr(module.config, SETTINGS, reading)
        return super().exported(module)


def best_spans(
    logits: Tensor, spans: Tensor, *, longest: int
) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
    """The likeliest span of each window.

    Args:
        logits: [B, T, 2].
        spans: characters of the tokens, [B, T, 2]; -1 for those that are not in the context.
        longest: most tokens of a span.

    Returns:
        Sum of the two logits [B], the same of no answer [B], and the span in characters.
    """
    start, end = logits.unbind(dim=-1)
    size = logits.shape[1]
    sums = start[:, :, None] + end[:, None, :]
    context = spans[..., 0] >= 0
    band = torch.ones(size, size, dtype=torch.bool, device=logits.device).triu().tril(longest - 1)
    sums = sums.masked_fill(~(band & context[:, :, None] & context[:, None, :]), -torch.inf)
    score, place = sums.flatten(1).max(dim=-1)
    rows = torch.arange(len(logits), device=logits.device)
    lows, highs = spans[rows, place // size, 0], spans[rows, place % size, 1]
    return score, start[:, 0] + end[:, 0], list(zip(lows.tolist(), highs.tolist(), strict=True))
