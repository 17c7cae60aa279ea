"""Muon's step with as few matrix products as there are shapes, in the type that the device computes in."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from llm_lab.config.hardware import cpu_has_bf16

Coefficients = tuple[float, float, float]


class Muon(torch.optim.Muon):
    """torch's Muon, where matrices of one shape are orthogonalised together.

    torch iterates matrix by matrix and always in bfloat16, which processors without it emulate. Settings, state and
    arithmetic are torch's; on such a processor the iteration is in single precision.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; a closure is called first, with gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameters in _alike(group["params"]):
                self._update(parameters, group)
        return loss

    def _update(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        updates = [self._momentum(parameter, group) for parameter in parameters]
        whole = torch.stack(updates) if len(updates) > 1 else updates[0]
        settings = {"coefficients": group["ns_coefficients"], "steps": group["ns_steps"], "eps": group["eps"]}
        found = orthogonalize(whole, compute_type(whole), **settings)
        rate = group["lr"] * scale(parameters[0].shape, group["adjust_lr_fn"])
        for parameter, update in zip(parameters, found if len(updates) > 1 else (found,), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)

    def _momentum(self, parameter: nn.Parameter, group: dict[str, Any]) -> Tensor:
        grad, state = parameter.grad, self.state[parameter]
        assert grad is not None  # noqa: S101 - `_alike` left those without out
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        buffer: Tensor = state["momentum_buffer"].lerp_(grad, 1 - group["momentum"])
        return grad.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer


def _alike(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Those with a gradient by shape; what lies in parts over ranks goes alone."""
    found: dict[Hashable, list[nn.Parameter]] = defaultdict(list)
    for parameter in parameters:
        if parameter.grad is not None:
            alone = id(parameter) if isinstance(parameter, DTensor) else None
            found[parameter.shape, parameter.dtype, parameter.device, alone].append(parameter)
    yield from found.values()


def orthogonalize(
    matrices: Tensor, dtype: torch.dtype, *, coefficients: Coefficients, steps: int, eps: float
) -> Tensor:
    """Matrices [..., M, N] with their singular values near one, by the quintic Newton-Schulz iteration.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon.
    """
    a, b, c = coefficients
    tall = matrices.shape[-2] > matrices.shape[-1]
    found = matrices.to(dtype, copy=True)
    found = found.mT if tall else found
    found.div_(found.norm(dim=(-2, -1), keepdim=True).clamp(min=eps))
    product = torch.baddbmm if matrices.ndim > 2 else torch.addmm  # noqa: PLR2004 - a stack, or one matrix
    for _ in range(steps):
        gram = found @ found.mT
        found = product(found, product(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if tall else found


def compute_type(matrices: Tensor) -> torch.dtype:
    """bfloat16 where the device multiplies in it, else single precision."""
    emulated = matrices.device.type == "cpu" and not cpu_has_bf16()
    return torch.float32 if emulated else torch.bfloat16


def scale(shape: torch.Size, rule: str | None) -> float:
    """Factor of the rate for a shape: `original` is Jordan's, `match_rms_adamw` that of arXiv:2502.16982."""
    rows, columns = shape
    return (
        0.2 * math.sqrt(max(rows, columns))
        if rule == "match_rms_adamw"
        else math.sqrt(max(1, rows / columns))
    )
