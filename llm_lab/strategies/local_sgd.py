"""Local SGD and DiLoCo: ranks train on their own for some steps, then agree on parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.optim import SGD, Optimizer

from llm_lab.errors import ConfigError
from llm_lab.strategies.parallel import Parallel
from llm_lab.strategies.replicas import Replicas
from llm_lab.strategies.traffic import Traffic

OUTER = "outer_optimizer"


class LocalSGD(Parallel):
    """Parameters averaged every so many steps, no gradients sent in between (Stich 2019, https://arxiv.org/abs/1805.09767).

    With another outer rate or momentum the mean is not taken as it is: how far it lies from the parameters of the
    last agreement is the gradient of an outer SGD with Nesterov momentum (DiLoCo: Douillard et al. 2023,
    https://arxiv.org/abs/2311.08105, 0.7 and 0.9 there, with hundreds of steps in between).

    Ranks agree also before each validation, each checkpoint and the end, so that there is one set of weights
    whenever somebody looks; the count of steps then starts anew. The loss of a rank is weighted as everywhere, by
    the targets of the whole step: where ranks have equally many, its gradient is that of its own mean, and where a
    last step is uneven, targets still weigh the same. Each rank clips its own gradient.

    Args:
        every: optimizer steps between two agreements.
        outer_lr: rate of the outer optimizer; 1 without momentum is the plain mean.
        outer_momentum: its Nesterov momentum.
        activation_checkpointing: see `llm_lab.strategies.checkpointing`.
    """

    def __init__(
        self,
        *,
        every: int = 8,
        outer_lr: float = 1.0,
        outer_momentum: float = 0.0,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(activation_checkpointing=activation_checkpointing)
        if every < 1 or outer_lr <= 0 or not 0 <= outer_momentum < 1:
            raise ConfigError(
                "strategy: every must be at least 1, outer_lr above 0 and outer_momentum from 0 to below 1, "
                f"found {every}, {outer_lr} and {outer_momentum}"
            )
        self.every, self.outer_lr, self.outer_momentum = every, outer_lr, outer_momentum
        self.traffic = Traffic()

    def engine(self) -> Replicas:
        """An engine without gradient synchronisation."""
        outer = None
        if (self.outer_lr, self.outer_momentum) != (1.0, 0.0):
            outer = Outer(lr=self.outer_lr, momentum=self.outer_momentum)
        return LocalDDP(every=self.every, outer=outer, traffic=self.traffic)

    def facts(self) -> dict[str, Any]:
        """Bytes that each rank sent per step, agreements spread over the steps."""
        return self.traffic.facts()


class Outer:
    """SGD with Nesterov momentum over all parameters as one vector, which is kept between agreements.

    Args:
        lr: rate.
        momentum: momentum.
    """

    def __init__(self, *, lr: float, momentum: float) -> None:
        self.agreed = nn.Parameter(torch.empty(0))
        self.optimizer = SGD([self.agreed], lr=lr, momentum=momentum, nesterov=momentum > 0)

    def begin(self, parameters: list[nn.Parameter]) -> None:
        """Take the parameters that all ranks start from, once."""
        if not self.agreed.numel():
            self.agreed.data = _vector(parameters)

    def step(self, mean: Tensor) -> Tensor:
        """Go from the last agreement towards the mean; returns where that leads."""
        self.agreed.grad = self.agreed.detach() - mean
        self.optimizer.step()
        self.agreed.grad = None
        return self.agreed.detach()


class LocalDDP(Replicas):
    """Lightning's DDP engine without DDP."""

    def __init__(self, *, every: int, outer: Outer | None, traffic: Traffic) -> None:
        super().__init__(traffic=traffic)
        self.every, self.outer, self.apart = every, outer, 0
        self._trained: list[nn.Parameter] = []

    def configure_ddp(self) -> None:
        """Start from rank 0's weights."""
        model = self.lightning_module
        assert model is not None  # noqa: S101 - Lightning has just connected it
        for tensor in chain(model.parameters(), model.buffers()):
            distributed.broadcast(tensor.data, src=0)
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def optimizer_step(
        self, optimizer: Optimizer, closure: Callable[[], Any], model: Any = None, **kwargs: Any
    ) -> Any:
        """Step alone; agree when it is time."""
        if self.outer:
            self.outer.begin(self._trained)
        result = super().optimizer_step(optimizer, closure, model, **kwargs)
        self.apart += 1
        if self.apart >= self.every:
            self.agree()
        return result

    @torch.no_grad()
    def agree(self) -> None:
        """Give all ranks the same parameters, if a step was made since they had."""
        if not self.apart:
            return
        self.apart = 0
        mean = _vector(self._trained).div_(self.world_size)
        distributed.all_reduce(mean)
        self.traffic.all_reduce(mean.nbytes)
        found = self.outer.step(mean) if self.outer else mean
        parts = found.split([parameter.numel() for parameter in self._trained])  # type: ignore[no-untyped-call]
        for parameter, part in zip(self._trained, parts, strict=True):
            parameter.copy_(part.view_as(parameter))

    def on_validation_start(self) -> None:
        """Validate what all ranks agree on."""
        self.agree()

    def on_train_end(self) -> None:
        """Leave one model behind."""
        self.agree()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What goes into checkpoints: weights that all ranks agree on."""
        self.agree()
        return super().lightning_module_state_dict()

    def rank_state(self) -> dict[str, Tensor]:
        """Moments of this rank's optimizers."""
        return {
            f"{number}/{place}/{name}": value
            for number, optimizer in enumerate(self.optimizers)
            for place, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
            if isinstance(value, Tensor)
        }

    def load_rank_state(self, state: Mapping[str, Tensor]) -> None:
        """Put this rank's moments in the place of rank 0's."""
        for name, value in self.rank_state().items():
            value.copy_(state[name])

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Save from rank 0, the outer momentum too."""
        if self.outer and "optimizer_states" in checkpoint:
            checkpoint[OUTER] = self.outer.optimizer.state_dict()
        super().save_checkpoint(checkpoint, filepath, storage_options)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore inner and outer optimizers."""
        super().load_optimizer_state_dict(checkpoint)
        if self.outer and OUTER in checkpoint:
            self.outer.begin(self._trained)
            self.outer.optimizer.load_state_dict(checkpoint[OUTER])


def _vector(parameters: list[nn.Parameter]) -> Tensor:
    """A copy of all parameters in one row."""
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
