"""Muon for the hidden matrices and AdamW for the rest, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from llm_lab.errors import ConfigError
from llm_lab.models.structure import layer_stack
from llm_lab.optim.groups import parameter_groups
from llm_lab.optim.orthogonal import Muon

Groups = list[dict[str, Any]]


class MuonAdamW(Optimizer):
    """Muon and torch's AdamW over one list of groups and one state.

    So schedules, gradient clipping and checkpoints see a single ordinary optimizer, as Lightning's automatic
    optimization wants.

    Args:
        hidden: groups of 2-D parameters, for Muon.
        rest: groups of all others, for AdamW.
        muon: settings of Muon.
        adamw: settings of AdamW.
    """

    def __init__(self, hidden: Groups, rest: Groups, *, muon: dict[str, Any], adamw: dict[str, Any]) -> None:
        self.parts: tuple[Optimizer, ...] = (Muon(hidden, **muon), AdamW(rest, **adamw))
        self.sizes = [len(part.param_groups) for part in self.parts]
        super().__init__([group for part in self.parts for group in part.param_groups], defaults={})
        self._share()

    def _share(self) -> None:
        start = 0
        for part, size in zip(self.parts, self.sizes, strict=True):
            part.param_groups = self.param_groups[start : start + size]
            part.state = self.state
            start += size

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore both; the parts must see the groups and the state that torch makes anew."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of each."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss


def muon(
    *,
    model: nn.Module,
    lr: float,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_steps: int = 5,
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = "match_rms_adamw",
    betas: Sequence[float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    layer_decay: float = 1.0,
) -> MuonAdamW:
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) for the matrices of the layers.

    Embeddings, head, biases and norms go to AdamW with ``betas`` and ``eps``. With ``match_rms_adamw`` both
    take steps of like size, so one ``lr`` tuned for AdamW serves both.
    Source: Liu et al. 2025, https://arxiv.org/abs/2502.16982.

    Raises:
        ConfigError: no trainable matrix lies in a stack of layers.
    """
    stack, _ = layer_stack(model)

    def is_hidden(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim == 2 and bool(stack) and name.startswith(f"{stack}.")  # noqa: PLR2004

    shared = {"lr": lr, "weight_decay": weight_decay, "layer_decay": layer_decay}
    hidden = parameter_groups(model, **shared, where=is_hidden)
    rest = parameter_groups(model, **shared, where=lambda name, parameter: not is_hidden(name, parameter))
    if not hidden:
        raise ConfigError(
            "optimizer: muon needs a stack of layers with matrices that train; take adamw instead"
        )
    first, second = betas
    return MuonAdamW(
        hidden,
        rest,
        muon={
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        },
        adamw={"lr": lr, "betas": (first, second), "eps": eps, "fused": True},
    )
