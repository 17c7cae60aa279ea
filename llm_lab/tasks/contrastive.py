"""Sentence embeddings: what belongs together lies close, all else in the batch apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from llm_lab.data.spec import DataSpec
from llm_lab.models.heads import Head
from llm_lab.models.sentence import embed, write_sentence_files
from llm_lab.tasks.artifact import limit
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.ranking import compare, pairs
from llm_lab.tasks.retrieval_metrics import Embeddings
from llm_lab.tasks.task import Batch, Task


class Contrastive(Task):
    """Multiple-negatives ranking loss (Henderson et al. 2017, https://arxiv.org/abs/1705.00652).

    Each pair of an anchor and a positive is a target: cross-entropy of the positive among all candidates of the
    batch, those that belong to the same anchor left out and equal texts taken as one. The batch is that of all
    ranks: the gradient does not depend on their number. Accumulated micro-batches do not see each other's texts:
    for more negatives raise ``data.batch_size``, and lower ``chunk`` where memory is short. ``val/loss`` and
    ``test/loss`` are over the whole split, however it is cut.

    Args:
        spec: see `Task`.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.retrieval_metrics`.
        regularizers: see `Task`.
        pooling: ``mean`` or ``max`` of the last hidden states, or the first (``cls``).
        normalize: compare directions only: cosine similarity; else inner products.
        scale: factor of the similarities, one over the temperature.
        symmetric: rank anchors for each positive as well, and take the mean of both losses.
        chunk: texts that go through the model together, computed again in the backward pass, so that memory does
            not grow with the batch (as GradCache, Gao et al. 2021, https://arxiv.org/abs/2101.06983); None for all.
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
        regularizers: Mapping[str, Any] | None = None,
        pooling: Literal["mean", "cls", "max"] = "mean",
        normalize: bool = True,
        scale: float = 20.0,
        symmetric: bool = True,
        chunk: int | None = None,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        self.pooling, self.normalize = pooling, normalize
        self.scale, self.symmetric, self.chunk = scale, symmetric, chunk
        self.split = Embeddings()
        self.metrics = collection(metrics)

    def configure_model(self) -> None:
        """As `Task.configure_model`; the pooler that some encoders bring along is kept, but gets no gradient."""
        super().configure_model()
        for name, parameter in self.named_parameters():
            if "pooler" in name.split("."):
                parameter.requires_grad_(False)

    def forward(self, batch: Batch) -> Tensor:
        """Vectors of all anchors, then of all candidates: [B + M, H]."""
        anchors = self._embed(batch["input_ids"], batch["attention_mask"])[: len(batch["anchor"])]
        candidates = self._embed(batch["candidate_ids"], batch["candidate_mask"])[: len(batch["text"])]
        return torch.cat([anchors, candidates])  # a rank without rows has fillers, which are cut off

    def _embed(self, tokens: Tensor, mask: Tensor) -> Tensor:
        one = partial(embed, self.network(), pooling=self.pooling, normalize=self.normalize)
        if self.chunk is None or not torch.is_grad_enabled():
            return one(tokens, mask)
        parts = zip(torch.split(tokens, self.chunk), torch.split(mask, self.chunk), strict=True)
        return torch.cat([checkpoint(one, *part, use_reentrant=False) for part in parts])

    def counted(self, model: Any, inputs: Batch) -> Any:
        """Both sides go through the model."""
        return [
            model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]),
            model(input_ids=inputs["candidate_ids"], attention_mask=inputs["candidate_mask"]),
        ]

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Losses of the pairs of all ranks [P], from the vectors of this one.

        Other ranks' vectors come without gradient: each rank computes the loss of all, and has the gradient with
        regard to its own texts, which the strategy adds up.
        """
        whole = {name: self.gathered(value) for name, value in _named(outputs, batch).items()}
        return self._losses(whole)[0]

    def _losses(self, embeddings: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Losses of the pairs, ranks of the positives, ranks of the anchors."""
        found = pairs(embeddings)
        forward, ranks = compare(found, scale=self.scale)
        back, back_ranks = compare(found.back(), scale=self.scale)
        return (forward + back) / 2 if self.symmetric else forward, ranks, back_ranks

    def validation_step(self, batch: Batch) -> None:
        """Keep the vectors of a batch."""
        self.split.update(**_named(self(batch), batch))

    def test_step(self, batch: Batch) -> None:
        """Keep the vectors of a batch."""
        self.validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss`` and the metrics, over the whole split."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``."""
        self._log("test")

    def _log(self, split: str) -> None:
        losses, forward, back = self._losses(self.split.compute())
        self.metrics.update(forward=forward, back=back)
        values = {"loss": losses.mean(), **self.metrics.compute()}
        self.split.reset()
        self.metrics.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=split == "val")

    def save_artifact(self, folder: Path) -> None:
        """As `Task.save_artifact`, with the files that the library sentence-transformers looks for."""
        super().save_artifact(folder)
        if self.global_rank == 0:
            write_sentence_files(
                folder,
                width=self.network().config.hidden_size,  # type: ignore[union-attr,arg-type]
                max_length=limit(self.spec),
                pooling=self.pooling,
                normalize=self.normalize,
            )


def _named(outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Vectors of a batch with the numbers of their texts."""
    count = len(batch["anchor"])
    numbers = {name: batch[name] for name in ("anchor", "text", "owner", "positive")}
    return {"anchors": outputs[:count], "candidates": outputs[count:], **numbers}
