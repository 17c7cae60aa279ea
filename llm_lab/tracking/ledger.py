"""What a run cost: seconds, tokens, floating-point operations, memory, joules, money."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from llm_lab.tracking import cost, flops
from llm_lab.tracking.clock import Clock
from llm_lab.tracking.energy import EnergyMeter
from llm_lab.tracking.files import write_json
from llm_lab.tracking.peak import known_peak

SAMPLE_SECONDS = 20.0  # between two readings of the energy counters, and two notes to disk


@runtime_checkable
class Counted(Protocol):
    """A task that says how a batch goes through its model."""

    counted_by: tuple[Any, ...]

    def counted(self, model: Any, inputs: Any) -> Any:
        """Run a model over inputs without values."""


class Ledger(Callback):
    """Counts what a run costs, over all of its parts when it is resumed.

    The counts are kept in every checkpoint and, where `file` is set, every few seconds in the run directory:
    work that was lost between the last checkpoint and a kill was paid for too. Per step it costs some ten
    microseconds; floating-point operations are counted afterwards, on a copy of the model without weights.

    Args:
        price_per_hour: price of this machine; None leaves money out.
        currency: of the price, three letters.
        watts_per_core: for the estimate where the machine reports no energy; a server processor's thermal
            design power divided by its cores is about 4, a desktop's about 8.
        file: where the counts are kept between checkpoints, e.g. ``RUN/ledger.json``.
    """

    def __init__(
        self,
        *,
        price_per_hour: float | None = None,
        currency: str = "USD",
        watts_per_core: float = 5.0,
        file: Path | None = None,
    ) -> None:
        self.rates = cost.Rates(
            price_per_hour=price_per_hour, currency=currency, watts_per_core=watts_per_core
        )
        self.file = file
        self.clock = Clock()
        self.energy = EnergyMeter()
        self.counts: Counter[str] = Counter(parts=1)
        self.shapes: Counter[tuple[str, flops.Shape]] = Counter()
        self.train_seconds = 0.0
        self._tokens: Tensor | int = 0
        self._earlier: Mapping[str, Any] | None = None
        self._restored = False
        cost.reset_peak_rss()
        self._optimizer_bytes: int | None = None
        self._depths: dict[str, int] = {}
        self._train_mark: float | None = None
        self._sampled = time.monotonic()
        self._module: LightningModule | None = None
        self._precision, self._ranks, self._replica = "32-true", 1, 0
        self._device = "cpu"

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Count the time inside the ``with`` as ``name``; phases exclude each other."""
        return self.clock.phase(name)

    def figures(self) -> dict[str, float | int | str | None]:
        """All figures until now as flat ``run/...`` keys; what is unknown is None.

        Counting the operations and measuring the machine's matrix peak take a second or two.
        """
        self._settle()
        model = getattr(self._module, "model", None)
        with self.clock.phase("report"):
            work = self._operations(model) if isinstance(model, nn.Module) else (None, None)
            peak = known_peak(cost.dtype_of(self._precision), device=self._device)
        return {
            **cost.time_figures(self.clock.seconds(), self.counts, self.train_seconds),
            **cost.work_figures(*work, self.train_seconds, peak * self._ranks),
            **cost.size_figures(model, self._optimizer_bytes),
            **cost.resource_figures(self.clock.total(), self.energy.joules, self.rates),
        }

    def _operations(self, model: nn.Module) -> tuple[int | None, int | None]:
        """Of training and of evaluation, as the task runs its model; any other module's by its inputs."""
        task: object = self._module
        if isinstance(task, Counted):
            how = {"forward": task.counted, "settings": task.counted_by}
            return cost.operations(model, self.shapes, **how)
        return cost.operations(model, self.shapes)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin the phase ``stage``; remember the model, the precision and the number of ranks."""
        self._module, self._precision, self._ranks = pl_module, str(trainer.precision), trainer.world_size
        self._replica = int((trainer.distributed_sampler_kwargs or {}).get("rank", 0))
        self._device = trainer.strategy.root_device.type
        self._depths["stage"] = self.clock.enter(
            str(getattr(stage, "value", stage))
        )  # Lightning's is an enum

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """End the phase, and any that an error left open inside it."""
        self._leave("stage")
        self._settle()
        self._keep()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Keep the counts of a run that fails or is interrupted; no other hook comes after this one."""
        self.clock.leave(min(self._depths.values(), default=1))
        self._depths.clear()
        self._settle()
        self._keep()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add what earlier parts of the run cost: by the run directory's note, else by the checkpoint."""
        if self.file and self.file.is_file():
            self._earlier = json.loads(self.file.read_text(encoding="utf-8"))
        if self._earlier and not self._restored:
            self._add(self._earlier)
        self._restored = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on the fit is training."""
        self._train_mark = self.clock.seconds().get("fit", 0.0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What comes after the last step is not training."""
        self._settle()
        self._train_mark = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validation inside a fit is a phase of its own."""
        self._depths["validation"] = self.clock.enter("validate")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Back to the fit."""
        self._leave("validation")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch; nothing here waits for an accelerator."""
        mask, ids = batch.get("attention_mask"), batch.get("input_ids")
        if ids is not None:
            self._tokens = self._tokens + (ids.numel() if mask is None else mask.sum())
            self.counts["slots"] += ids.numel()
        self.counts["examples"] += flops.rows_of(batch)
        self._count("train", batch)
        self._optimizer_bytes = self._optimizer_bytes or cost.optimizer_bytes(trainer.optimizers)
        if time.monotonic() - self._sampled > SAMPLE_SECONDS:
            self._settle()
            self._keep()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count a batch."""
        self._count("eval", batch)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Count a batch."""
        self._count("eval", batch)

    def state_dict(self) -> dict[str, Any]:
        """All counts until now, earlier parts included, as plain containers."""
        self._settle()
        return {
            "seconds": self.clock.seconds(),
            "train_seconds": self.train_seconds,
            "counts": dict(self.counts),
            "joules": dict(self.energy.joules),
            "replica": self._replica,
            "optimizer_bytes": self._optimizer_bytes,
            "shapes": [[kind, [[name, [*size], dtype] for name, size, dtype in shape], times]
                       for (kind, shape), times in self.shapes.items()],
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the checkpoint's counts until a fit begins; a test of a checkpoint adds nothing."""
        self._earlier = state_dict

    def _add(self, earlier: Mapping[str, Any]) -> None:
        self.clock.add(earlier["seconds"])
        if self._train_mark is not None:
            self._train_mark += earlier["seconds"].get("fit", 0.0)
        self.train_seconds += earlier["train_seconds"]
        self._optimizer_bytes = self._optimizer_bytes or earlier.get("optimizer_bytes")
        self.counts.update(earlier["counts"])
        for source, joules in earlier["joules"].items():
            self.energy.joules[source] = self.energy.joules.get(source, 0.0) + joules
        for kind, shape, times in earlier["shapes"]:
            self.shapes[kind, tuple((name, tuple(size), dtype) for name, size, dtype in shape)] += times

    def join(self, others: Sequence[Mapping[str, Any]]) -> None:
        """Add what the other ranks took in; time and energy are the machine's, and counted already.

        Ranks that share their rows, as those of one tensor-parallel group do, count once.

        Args:
            others: their `state_dict`.
        """
        seen = {self._replica}
        for state in others:
            if state["replica"] not in seen:
                seen.add(state["replica"])
                alone = {**state, "seconds": {}, "train_seconds": 0.0, "joules": {}}
                self._add({**alone, "counts": {**state["counts"], "parts": 0}})

    def _count(self, kind: str, batch: Any) -> None:
        self.shapes[kind, flops.shape_of(batch)] += 1

    def _settle(self) -> None:
        """Bring the running sums up to now."""
        self.energy.sample()
        self._sampled = time.monotonic()
        self.counts["tokens"] += int(self._tokens)
        self._tokens = 0
        if self._train_mark is not None:
            now = self.clock.seconds().get("fit", 0.0)
            self.train_seconds += now - self._train_mark
            self._train_mark = now

    def _keep(self) -> None:
        if self.file:
            write_json(self.file, self.state_dict())

    def _leave(self, name: str) -> None:
        if name in self._depths:
            self.clock.leave(self._depths.pop(name))
