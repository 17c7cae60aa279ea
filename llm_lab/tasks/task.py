"""What every objective has in common: a model in its wrappers, an optimizer, a schedule, an artifact."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from llm_lab.callbacks.averaging import Averaging
from llm_lab.config import build, build_all
from llm_lab.data.spec import DataSpec, tensor_names
from llm_lab.errors import ConfigError
from llm_lab.models import wrapper
from llm_lab.models.heads import Head
from llm_lab.strategies.dtensor import layout
from llm_lab.strategies.parallel import Parallel
from llm_lab.tasks.artifact import write_artifact
from llm_lab.tasks.regularizers.regularizer import Regularizer

Batch = dict[str, Tensor]


class Task(LightningModule):
    """A Lightning module whose model, optimizer and schedule are config nodes, built when they are needed.

    A subclass says which head the model gets, how a batch becomes one loss per target (`losses`) and what it
    measures.

    Args:
        spec: what the data is.
        model: node of the model; ``wrappers`` in it is a mapping name -> node of a `Wrapper`.
        optimizer: node of the optimizer; gets ``model``.
        scheduler: node of the learning rate schedule; gets ``optimizer`` and ``total_steps``.
        regularizers: nodes of a `Regularizer` by name: what is added to the loss in training.

    Attributes:
        model: the wrapped model, after `configure_model`.
        predictions: after a test ``index`` [N], ``probabilities`` [N, C] and ``labels`` in the order of rows.
        row_scores: after a test the parts [N, 2] of metrics by row, see `llm_lab.results.rows`.
        tables: after a test what the report is to show beside the metrics: rows by title.
        pictures: likewise, drawn ones by title.
    """

    head: ClassVar[Head]
    counted_by: tuple[Any, ...] = ()  # what `counted` follows from beside the model
    model: nn.Module | None

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.nodes = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
        self.regularizers = build_all(regularizers, expected=Regularizer, key="task.regularizers")
        self.wrappers: list[wrapper.Wrapper] = []
        self.model = None
        self.parallel: Parallel | None = None  # the run's strategy; without one the model stays in one piece
        self.predictions: dict[str, Tensor] = {}
        self.row_scores: dict[str, Tensor] = {}
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.pictures: dict[str, list[str]] = {}

    def configure_model(self) -> None:
        """Make the weights, once: Lightning calls this for fit and again for test."""
        if self.model is not None:
            return
        node = self.nodes["model"]
        bare = build(node, expected=nn.Module, key="model", spec=self.spec, head=self.head)
        nodes = node.get("wrappers") or {}
        self.wrappers = list(build_all(nodes, expected=wrapper.Wrapper, key="model.wrappers").values())
        whole = wrapper.apply(self.wrappers, bare)
        self.model = self.parallel.lay_out(whole, self.device_mesh) if self.parallel else whole
        group = self.parallel.data_group(self.device_mesh) if self.parallel else None
        for metric in (part for part in self.modules() if isinstance(part, Metric)):
            metric.process_group = group

    def network(self) -> nn.Module:
        """The wrapped model, made on first use."""
        self.configure_model()
        return cast("nn.Module", self.model)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Optimizer and schedule, the latter stepped after every optimizer step."""
        optimizer = build(
            self.nodes["optimizer"],
            expected=Optimizer,
            key="optimizer",
            model=self.network(),
            params=self._trainable(),
        )
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ConfigError("trainer.max_steps: the schedule needs an end; set this or trainer.max_epochs")
        scheduler = build(
            self.nodes["scheduler"],
            expected=LRScheduler,
            key="scheduler",
            optimizer=optimizer,
            total_steps=int(steps),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _trainable(self) -> list[dict[str, Any]]:
        """What an optimizer of torch, named as it is, gets: all parameters that train, grouped by layout alone."""
        groups: dict[Hashable, dict[str, Any]] = {}
        for parameter in self.network().parameters():
            if parameter.requires_grad:
                groups.setdefault(layout(parameter), {"params": []})["params"].append(parameter)
        return list(groups.values())

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Lightning does, fused optimizers included.

        Lightning refuses to clip for a fused optimizer under mixed precision, since such a one undoes the
        loss scaling inside its step; but bfloat16 has no loss scaling.
        """
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if gradient_clip_val and not scaled and getattr(optimizer, "_step_supports_amp_scaling", False):
            optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]  # noqa: SLF001
        if self.parallel:
            value, algorithm = gradient_clip_val, gradient_clip_algorithm
            self.parallel.clip(self, optimizer, value=value, algorithm=algorithm)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    @abstractmethod
    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """One loss per target of the batch."""

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model gets of a batch."""
        return {name: value for name, value in batch.items() if name not in NOT_FOR_THE_MODEL}

    def forward(self, batch: Batch) -> Tensor:
        """The model's outputs in single precision: logits [B, C]."""
        logits: Tensor = self.network()(**self.inputs(batch)).logits
        rows = batch["index"] if "index" in batch else batch["input_ids"]
        return logits.float()[: len(rows)]  # a rank without rows of its own gets one to fill its batch

    def counted(self, model: Any, inputs: Batch) -> Any:
        """Run ``model``, a copy without weights, over inputs without values: what a batch costs is counted here."""
        known = ENCODED.union(tensor_names(self.spec.inputs))
        return model(**{name: value for name, value in inputs.items() if name in known})

    def training_step(self, batch: Batch) -> Tensor:
        """The micro-batch's share of the mean loss over all targets of the optimizer step.

        Lightning divides by the number of micro-batches and the strategy averages over its replicas; both are
        undone here, so that every target weighs the same however the step is cut.
        """
        outputs = self(batch)
        losses = self.losses(outputs, batch)
        self.log("train/loss", losses.detach().mean(), prog_bar=True, sync_dist=True)
        penalties = [one.penalty(self, batch, outputs) for one in self.regularizers.values()]
        return sum(penalties, losses.sum()) / self.step_targets(batch) * self.shares()

    def step_targets(self, batch: Batch) -> Tensor:
        """Number of targets of the whole optimizer step."""
        return batch["step_targets"]

    def shares(self) -> int:
        """Into how many equal parts Lightning takes a step to be cut: micro-batches times replicas."""
        return self.trainer.accumulate_grad_batches * self.replicas()

    def replicas(self) -> int:
        """How many ranks see rows of their own."""
        return int((self.trainer.distributed_sampler_kwargs or {}).get("num_replicas", 1))

    def gathered(self, own: Tensor) -> Tensor:
        """Rows [N, ...] of all ranks that see other data, those of the others without gradient."""
        if not torch.distributed.is_initialized():
            return own
        group = self.parallel.data_group(self.device_mesh) if self.parallel else None
        return torch.cat(gather_all_tensors(own, group))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let averaged weights into checkpoints of weights alone as well."""
        averaging = [one for one in self.trainer.callbacks if isinstance(one, Averaging)]  # type: ignore[attr-defined]
        if "callbacks" not in checkpoint and averaging:
            averaging[-1].store_weights(checkpoint)

    def exported(self, module: nn.Module) -> nn.Module:
        """The part of the unwrapped model that outlives the run."""
        return module

    def save_artifact(self, folder: Path) -> None:
        """Write a plain Hugging Face folder that needs neither this run nor this framework; all ranks call this.

        See `llm_lab.tasks.artifact.write_artifact`.
        """
        write_artifact(
            folder,
            model=self.network(),
            wrappers=self.wrappers,
            spec=self.spec,
            task=type(self).__name__,
            parallel=self.parallel,
            rank=self.global_rank,
            exported=self.exported,
        )


ENCODED = frozenset({"input_ids", "attention_mask", "token_type_ids"})
NOT_FOR_THE_MODEL = frozenset({"labels", "index", "step_targets"})
