"""One space for several modalities: what stands in one row lies close, all else in the batch apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor

from llm_lab.data.source import nearest
from llm_lab.data.spec import ID, PRESENT, SAME, DataSpec
from llm_lab.errors import ConfigError
from llm_lab.tasks.in_batch import InBatch
from llm_lab.tasks.modality_pairs import Vectors, by_row, directions, flat, matched, measure
from llm_lab.tasks.ranking import Objective, Pairs, compare, infonce, sigmoid
from llm_lab.tasks.task import Batch

LOSSES: Mapping[str, Objective] = {"infonce": infonce, "sigmoid": sigmoid}


class CrossModal(InBatch):
    """Contrastive loss over pairs of modalities (CLIP: Radford et al. 2021, https://arxiv.org/abs/2103.00020).

    For three and more it is the mean over all pairs that a row has, or over those with the anchor (ImageBind: Girdhar
    et al. 2023, https://arxiv.org/abs/2305.05665). Equal contents are taken as one, so that no negative is right;
    where the data have a column ``same``, all that stands in rows of one value belongs together.

    ``test/A_to_B/METRIC`` finds what belongs to A among the B of the split; ``test/METRIC`` is their mean.

    Args:
        spec: see `Task`; its inputs are the modalities, two or more.
        model: see `Task`.
        optimizer: see `Task`.
        scheduler: see `Task`.
        metrics: nodes by name, see `llm_lab.tasks.retrieval_metrics`.
        regularizers: see `Task`.
        loss: ``infonce`` picks the right one of all, ``sigmoid`` judges each pair by itself.
        scale: factor of the similarities, one over the temperature; where that is learned, what it starts from.
        bias: is added to the scaled similarities by ``sigmoid``; where it is learned, what it starts from.
        temperature: ``learned`` with the weights, bias included, or ``fixed``.
        max_scale: a learned scale does not grow beyond it.
        anchor: the input that is part of every pair that is trained; None trains all pairs.

    Raises:
        ConfigError: a single modality, an input that there is not, or a scale that is none.
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
        loss: Literal["infonce", "sigmoid"] = "infonce",
        scale: float = 20.0,
        bias: float = -10.0,
        temperature: Literal["learned", "fixed"] = "fixed",
        max_scale: float = 100.0,
        anchor: str | None = None,
    ) -> None:
        super().__init__(
            spec=spec, model=model, optimizer=optimizer, scheduler=scheduler, regularizers=regularizers,
            metrics=metrics, split=Vectors(),
        )  # fmt: skip
        self.names = sorted(spec.inputs)
        if len(self.names) < 2:  # noqa: PLR2004 - one alone belongs to nothing
            raise ConfigError(
                f"task: at least two modalities are wanted, the data have {', '.join(self.names)}"
            )
        if not 0 < scale <= max_scale:
            raise ConfigError(f"task.scale: {scale} is not above 0 and at most max_scale, {max_scale}")
        self.objective, self.scale, self.max_scale = LOSSES[loss], scale, max_scale
        self.bias = bias if loss == "sigmoid" else 0.0
        self.learned = {"logit_scale": temperature == "learned"}
        self.learned["logit_bias"] = self.learned["logit_scale"] and loss == "sigmoid"
        self.anchor = self._number(anchor)
        self.scoring: dict[str, float | Tensor] = {}  # of the last batch

    def _number(self, name: str | None) -> int | None:
        if name is not None and name not in self.names:
            raise ConfigError(f"task.anchor: there is no input `{name}`{nearest(name, self.names)}")
        return None if name is None else self.names.index(name)

    def configure_model(self) -> None:
        """As `Task.configure_model`; what is fixed of the scores gets no gradient."""
        super().configure_model()
        for name, parameter in self.named_parameters():
            if not self.learned.get(name.rpartition(".")[2], True):
                parameter.requires_grad_(False)

    def on_train_batch_end(self, *_: Any) -> None:
        """Keep a learned scale within its bound."""
        most = math.log(self.max_scale / self.scale)
        for name, parameter in self.named_parameters():
            if name.endswith("logit_scale"):
                parameter.detach().clamp_(max=most)

    def forward(self, batch: Batch) -> Tensor:
        """Vectors [B, N, D] of the rows, inputs in the order of their names."""
        found = self.network()(**self.inputs(batch))
        scale, bias = self._shared(found.logit_scale.float()), self._shared(found.logit_bias.float())
        self.scoring = {"scale": self.scale * scale.exp(), "bias": self.bias + bias}
        vectors: Tensor = found.last_hidden_state
        return vectors.float()[: len(batch["index"])]

    def _shared(self, value: Tensor) -> Tensor:
        """A value in whose gradient each rank has its part: the loss is that of all, unlike the vectors."""
        if not value.requires_grad:
            return value
        still = value.detach()
        return still + (value - still) / self.replicas()

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model gets of a batch."""
        numbers = {SAME, *(f"{name}{ID}" for name in self.names)}
        return {name: value for name, value in super().inputs(batch).items() if name not in numbers}

    def told(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """What `Vectors` keeps."""
        count = len(outputs)
        ids = torch.stack([batch[f"{name}{ID}"][:count] for name in self.names], dim=1)
        there = torch.ones(count, dtype=torch.bool, device=ids.device)
        present = torch.stack([batch.get(f"{name}{PRESENT}", there)[:count] for name in self.names], dim=1)
        rows = {name: batch[name][:count] for name in (SAME, "index")}
        return {"vectors": outputs, "ids": ids, "present": present, **rows}

    def losses_of(self, told: Mapping[str, Tensor]) -> Tensor:
        """Losses of the rows [B]."""
        total, count = told["vectors"].new_zeros(len(told["ids"])), told["ids"].new_zeros(len(told["ids"]))
        for one, other in combinations(range(len(self.names)), 2):
            if self.anchor not in {None, one, other}:
                continue
            rows, found, owner = matched(told, one, other)
            if len(rows):
                weight = len(rows) / len(owner)  # a row is a target, however many pairs it has
                total = total.index_add(0, owner, self._pair_losses(found) * weight)
                count = count.index_add(0, rows, torch.ones_like(rows))
        return total / count.clamp(min=1)

    def _pair_losses(self, found: Pairs) -> Tensor:
        """Losses [P], the mean of both directions."""
        how = {
            name: value.to(found.keys.device) if isinstance(value, Tensor) else value
            for name, value in self.scoring.items()
        }
        forward, back = (compare(one, objective=self.objective, **how)[0] for one in (found, found.back()))
        return (forward + back) / 2

    def measured(self, told: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The metrics by direction, which become a table of the report and are kept by row, and their means."""
        order = told["index"].argsort()
        asked = directions({name: value[order] for name, value in told.items()}, self.names)
        self.row_scores = by_row(asked, self.metrics, len(order))
        found = {way: measure(self.metrics, one.ranks, one.back) for way, one in asked.items()}
        rows = [
            {"direction": way, **{n: f"{v:.4f}" for n, v in values.items()}} for way, values in found.items()
        ]
        self.tables = {"Retrieval from each modality to each other": rows}
        return flat(found)
