"""One space for several modalities: what stands in one row lies close, all else in the batch apart."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from llm_lab.data.spec import ID, PRESENT, DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.heads import Head
from llm_lab.tasks.metrics import collection
from llm_lab.tasks.rank_metrics import Kept
from llm_lab.tasks.ranking import compare, pairs
from llm_lab.tasks.task import Batch, Task


class Vectors(Kept):
    """Vectors [B, N, D] of the inputs of a split, numbers of their contents [B, N], and which are there [B, N]."""

    names = ("vectors", "ids", "present")


class CrossModal(Task):
    """Contrastive loss over every pair of modalities (CLIP: Radford et al. 2021, https://arxiv.org/abs/2103.00020).

    For three and more it is the mean over all pairs that a row has (ImageBind takes those with pictures, Girdhar et al.
    2023). Equal contents are taken as one, so that no negative is right. The batch is that of all ranks.

    ``test/A_to_B/METRIC`` finds what belongs to A among the B of the split; ``test/METRIC`` is their mean.

    Args:
        spec: see `Task`; its inputs are the modalities, two or more.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.retrieval_metrics`.
        regularizers: see `Task`.
        scale: factor of the similarities, one over the temperature.
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
        scale: float = 20.0,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers
        )
        if len(spec.inputs) < 2:  # noqa: PLR2004 - one alone belongs to nothing
            raise ConfigError(
                f"task: at least two modalities are wanted, the data have {', '.join(spec.inputs)}"
            )
        self.names, self.scale = sorted(spec.inputs), scale
        self.split = Vectors()
        self.metrics = collection(metrics)

    def forward(self, batch: Batch) -> Tensor:
        """Vectors [B, N, D] of the rows, inputs in the order of their names."""
        vectors: Tensor = self.network()(**self.inputs(batch)).last_hidden_state
        return vectors.float()[: len(batch["index"])]

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model gets of a batch."""
        ids = {f"{name}{ID}" for name in self.names}
        return {name: value for name, value in super().inputs(batch).items() if name not in ids}

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Losses of the rows of all ranks [B], from the vectors of this one."""
        whole = {name: self.gathered(value) for name, value in self._told(outputs, batch).items()}
        return self._losses(whole)

    def _losses(self, told: Mapping[str, Tensor]) -> Tensor:
        total, count = told["vectors"].new_zeros(len(told["ids"])), told["ids"].new_zeros(len(told["ids"]))
        for one, other in combinations(range(len(self.names)), 2):
            rows, embeddings = chosen(told, one, other)
            if len(rows):
                found = pairs(embeddings)
                both = compare(found, scale=self.scale)[0] + compare(found.back(), scale=self.scale)[0]
                total = total.index_add(0, rows, both / 2)
                count = count.index_add(0, rows, torch.ones_like(rows))
        return total / count.clamp(min=1)

    def _told(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        count = len(outputs)
        ids = torch.stack([batch[f"{name}{ID}"][:count] for name in self.names], dim=1)
        there = torch.ones(count, dtype=torch.bool, device=ids.device)
        present = torch.stack([batch.get(f"{name}{PRESENT}", there)[:count] for name in self.names], dim=1)
        return {"vectors": outputs, "ids": ids, "present": present}

    def validation_step(self, batch: Batch) -> None:
        """Keep the vectors of a batch."""
        self.split.update(**self._told(self(batch), batch))

    def test_step(self, batch: Batch) -> None:
        """Keep the vectors of a batch."""
        self.validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log ``val/loss`` and the metrics, over the whole split."""
        self._log("val")

    def on_test_epoch_end(self) -> None:
        """The same under ``test/``; a table of all directions for the report."""
        self._log("test")

    def _log(self, split: str) -> None:
        told = self.split.compute()
        values = {"loss": self._losses(told).mean()}
        directions = self._directions(told)
        for way, found in directions.items():
            values |= {f"{way}/{name}": value for name, value in found.items()}
        values |= {
            name: torch.stack([found[name] for found in directions.values()]).mean()
            for name in map(str, self.metrics)
        }
        self.split.reset()
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, prog_bar=False)
        if split == "test":
            rows = [
                {"direction": way, **{n: f"{v:.4f}" for n, v in found.items()}}
                for way, found in directions.items()
            ]
            self.tables = {"Retrieval from each modality to each other": rows}

    def _directions(self, told: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """The metrics of every ordered pair of modalities that share rows."""
        found = {}
        for one, other in combinations(range(len(self.names)), 2):
            rows, embeddings = chosen(told, one, other)
            if not len(rows):
                continue
            both = pairs(embeddings)
            ranks = compare(both, scale=self.scale)[1], compare(both.back(), scale=self.scale)[1]
            names = self.names[one], self.names[other]
            for (start, end), (forward, back) in ((names, ranks), (names[::-1], ranks[::-1])):
                self.metrics.reset()
                self.metrics.update(forward=forward, back=back)
                found[f"{start}_to_{end}"] = self.metrics.compute()
        self.metrics.reset()
        return found


def chosen(told: Mapping[str, Tensor], one: int, other: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Numbers of the rows that have both inputs, and these as `llm_lab.tasks.ranking.pairs` takes them."""
    rows = told["present"][:, [one, other]].all(dim=1).nonzero().squeeze(1)
    vectors, ids = told["vectors"][rows], told["ids"][rows]
    return rows, {
        "anchors": vectors[:, one],
        "candidates": vectors[:, other],
        "anchor": ids[:, one],
        "text": ids[:, other],
        "owner": ids[:, one],
        "positive": torch.ones(len(rows), dtype=torch.bool, device=rows.device),
    }
