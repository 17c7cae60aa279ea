"""What engines of ours that keep a whole copy of the model on each rank have in common."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed
from torch.optim import Optimizer

from llm_lab.strategies.traffic import Traffic

log = logging.getLogger(__name__)
OF_RANKS = "of_ranks"


class Replicas(DDPStrategy):
    """Lightning's DDP engine, with bytes counted and with each rank's own state in the checkpoints.

    What differs between ranks (errors that compression left, moments of local optimizers) is gathered on rank 0,
    tensor by tensor, and stored there with the ranks along the first axis.

    Args:
        traffic: counter of the bytes.
        settings: for `torch.nn.parallel.DistributedDataParallel`.
    """

    def __init__(self, *, traffic: Traffic, **settings: Any) -> None:
        super().__init__(**settings)
        self.traffic = traffic

    def rank_state(self) -> dict[str, Tensor]:
        """What this rank alone knows; names and shapes are the same on all ranks."""
        return {}

    def load_rank_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what this rank knew."""

    def optimizer_step(
        self, optimizer: Optimizer, closure: Callable[[], Any], model: Any = None, **kwargs: Any
    ) -> Any:
        """Step and count."""
        result = super().optimizer_step(optimizer, closure, model, **kwargs)
        self.traffic.step()
        return result

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Save from rank 0, with the states of all ranks where the run is to go on from it."""
        if "optimizer_states" in checkpoint:
            device = self.root_device
            checkpoint[OF_RANKS] = {
                name: _gathered(value, device) for name, value in self.rank_state().items()
            }
        super().save_checkpoint(checkpoint, filepath, storage_options)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the optimizers and, where as many ranks wrote the checkpoint, this rank's own state."""
        super().load_optimizer_state_dict(checkpoint)
        state: Mapping[str, Tensor] = checkpoint.get(OF_RANKS, {})
        ranks = {len(value) for value in state.values()}
        if ranks == {self.world_size}:
            self.load_rank_state({name: value[self.global_rank] for name, value in state.items()})
        elif ranks:
            log.warning(
                "the checkpoint was written by %d ranks, not %d: what each knew alone is left out",
                *ranks,
                self.world_size,
            )


def _gathered(value: Tensor, device: torch.device) -> Tensor:
    """The tensors of all ranks on rank 0, [R, ...] on the CPU; empty on the others."""
    own = value.detach().to(device).contiguous()
    if distributed.get_rank():
        distributed.gather(own)
        return own.new_empty(0)
    every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.gather(own, every)
    return torch.stack([one.cpu() for one in every])
