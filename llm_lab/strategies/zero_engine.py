"""Lightning's DeepSpeed engine on any device, with checkpoints that hold tensors and primitives."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.utilities.seed import reset_seed
from pytorch_lightning import LightningModule
from pytorch_lightning.accelerators import CUDAAccelerator
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.plugins.precision.deepspeed import DeepSpeedPrecision
from pytorch_lightning.strategies import DDPStrategy, DeepSpeedStrategy
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.types import LRSchedulerConfig
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from typing_extensions import override

from llm_lab.strategies import folder, zero_state
from llm_lab.strategies.stream import Entry, own_tensors, write_stream
from llm_lab.strategies.zero_library import forget_groups


class ZeroEngine(DeepSpeedStrategy):
    """DeepSpeed steps and shares out; Lightning counts micro-batches, and we write checkpoints.

    DeepSpeed's own checkpoints are pickles, and it counts micro-batches over the end of an epoch.

    Args:
        settings: DeepSpeed's configuration.
        cpu_adam: take DeepSpeed's AdamW for processors in place of torch's.
    """

    def __init__(self, *, settings: dict[str, Any], cpu_adam: bool) -> None:
        super().__init__(config=settings, logging_level=logging.ERROR)
        self.cpu_adam = cpu_adam
        self.loaded: Path | None = None  # the checkpoint that a test runs on: it holds single precision

    # Where there is no CUDA: Lightning's own methods without their checks for it.

    def setup_environment(self) -> None:
        """Set up the accelerator and the process group."""
        self.precision_plugin = _Precision(self.precision_plugin.precision)  # type: ignore[arg-type]
        if isinstance(self.accelerator, CUDAAccelerator):
            super().setup_environment()
        else:
            DDPStrategy.setup_environment(self)

    def setup_distributed(self) -> None:
        """Join the process group, which is there already."""
        forget_groups()
        if isinstance(self.accelerator, CUDAAccelerator):
            super().setup_distributed()
            return
        reset_seed()
        self.set_world_ranks()
        self._init_deepspeed_distributed()

    @property
    def root_device(self) -> torch.device:
        """The device of this rank; DeepSpeed wants a number of it."""
        device = super().root_device
        return torch.device("cpu", 0) if device.type == "cpu" else device

    # How a step goes.

    @property
    def handles_gradient_accumulation(self) -> bool:
        """Lightning does: it steps at the end of an epoch as well, where the last rows do not fill a step."""
        return False

    @contextmanager
    def block_backward_sync(self) -> Generator[None, None, None]:
        """Nothing to block: DeepSpeed knows when a step follows, and reduces before where it must."""
        yield

    @contextmanager
    def model_sharded_context(self) -> Generator[None, None, None]:
        """Make the model whole; DeepSpeed shares it out when it takes it over.

        Inside ``zero.Init`` transformers cannot load weights.
        """
        self._init_config_if_needed()
        yield

    def _format_batch_size_and_grad_accum_config(self) -> None:
        super()._format_batch_size_and_grad_accum_config()
        self.config["gradient_accumulation_steps"] = 1  # type: ignore[index]

    def init_deepspeed(self) -> None:
        """Let DeepSpeed take over in silence: it prints its memory, and that it clips by itself is as it should be."""
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.filterwarnings("ignore", message=".*DeepSpeed handles gradient clipping internally")
            super().init_deepspeed()

    def _init_optimizers(self) -> tuple[Optimizer, LRSchedulerConfig | None]:
        optimizer, scheduler = super()._init_optimizers()
        if self.cpu_adam and isinstance(optimizer, AdamW):
            from deepspeed.ops.adam import DeepSpeedCPUAdam

            optimizer = DeepSpeedCPUAdam(
                optimizer.param_groups, adamw_mode=True
            )  # the same groups: the schedule's
        return optimizer, scheduler

    # Checkpoints.

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Nothing: the weights are streamed into the checkpoint."""
        return {}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The part of the optimizer's state that this rank holds, with the weights in single precision."""
        return zero_state.take(
            optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        )

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a folder; all ranks call this."""
        del storage_options
        checkpoint.pop("state_dict", None)
        own = checkpoint.pop("optimizer_states", None)
        with folder.written(Path(self.broadcast(str(filepath))), self.global_rank) as temporary:
            if own is not None:
                folder.store({"optimizer_states": own}, folder.part(temporary, self.global_rank))
            if self.is_global_zero:
                folder.store(checkpoint, temporary / folder.COMMON)
            target = temporary / folder.WEIGHTS if self.is_global_zero else None
            write_stream(self.entries(self._module()), target)

    @override
    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a folder; the weights first, then in a fit what this rank owns."""
        del weights_only
        path = Path(self.broadcast(str(checkpoint_path)))
        with safe_open(path / folder.WEIGHTS, framework="pt") as stored:
            for name, _, tensor in own_tensors(self._module()):
                zero_state.give(tensor, stored.get_tensor, name)
        common = folder.load(path / folder.COMMON)
        if self._module().trainer.state.fn != TrainerFn.FITTING:
            self.loaded = path
            return common
        return common | folder.load_part(path, self.global_rank, self.world_size)

    @override
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Nothing is left to do."""

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Lightning hands the state over in `load_optimizer_state_dict`."""
        return True

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Give the optimizer the part of its state that this rank holds."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            zero_state.restore(optimizer, state)

    def entries(self, model: nn.Module) -> list[Entry]:
        """Whole tensors in single precision: of the optimizer's parts, or of the checkpoint that was tested.

        What does not train is taken from the model, where adapters may have been merged into it.
        """
        names = {id(tensor): name for name, _, tensor in own_tensors(self._module())}
        return [
            zero_state.stored_entry(name, tensor, self.loaded / folder.WEIGHTS, names[id(tensor)])
            if self.loaded and tensor.requires_grad
            else zero_state.entry(name, tensor)
            for name, _, tensor in own_tensors(model)
        ]

    def _module(self) -> LightningModule:
        if self.lightning_module is None:
            raise RuntimeError("the engine has no model yet")
        return self.lightning_module


class _Precision(DeepSpeedPrecision):
    """Leaves the batch in the types it has: a count of targets above 256 is no number of bfloat16's."""

    def convert_input(self, data: Any) -> Any:
        return data

    def backward(  # type: ignore[override]
        self, tensor: Tensor, model: LightningModule, optimizer: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Tell DeepSpeed before each backward pass whether a step follows."""
        accumulates = model.trainer.fit_loop._should_accumulate()  # noqa: SLF001 - Lightning's own engines ask it too
        model.trainer.model.set_gradient_accumulation_boundary(not accumulates)  # type: ignore[union-attr, operator]
        super().backward(tensor, model, optimizer, *args, **kwargs)
