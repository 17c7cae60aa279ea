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
from llm_lab.models.sentence import embed, write_sentence_files
from llm_lab.tasks.artifact import limit
from llm_lab.tasks.in_batch import InBatch
from llm_lab.tasks.ranking import compare, pairs
from llm_lab.tasks.retrieval_metrics import Embeddings
from llm_lab.tasks.task import Batch


class Contrastive(InBatch):
    """Multiple-negatives ranking loss (Henderson et al. 2017, https://arxiv.org/abs/1705.00652).

    Each pair of an anchor and a positive is a target: cross-entropy of the positive among all candidates of the
    batch, those that belong to the same anchor left out and equal texts taken as one; see `InBatch`. For more
    negatives raise ``data.batch_size``, and lower ``chunk`` where memory is short.

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
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers,
            metrics=metrics, split=Embeddings(),
        )  # fmt: skip
        self.pooling, self.normalize = pooling, normalize
        self.scale, self.symmetric, self.chunk = scale, symmetric, chunk

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

    def told(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Vectors of a batch with the numbers of their texts."""
        count = len(batch["anchor"])
        numbers = {name: batch[name] for name in Embeddings.names if name in batch}
        return {"anchors": outputs[:count], "candidates": outputs[count:], **numbers}

    def losses_of(self, told: Mapping[str, Tensor]) -> Tensor:
        """Losses of the pairs [P]."""
        found = pairs(told)
        forward = compare(found, scale=self.scale)[0]
        return (forward + compare(found.back(), scale=self.scale)[0]) / 2 if self.symmetric else forward

    def measured(self, told: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The metrics of both directions."""
        found = pairs(told)
        self.metrics.update(forward=compare(found)[1], back=compare(found.back())[1])
        values: dict[str, Tensor] = self.metrics.compute()
        self.metrics.reset()
        return values

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
