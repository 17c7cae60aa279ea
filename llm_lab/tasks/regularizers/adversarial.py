"""Small changes of the embeddings that hurt most: the model is to hold against them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from llm_lab.tasks.regularizers.regularizer import Regularizer, divergence, embedded

if TYPE_CHECKING:
    from llm_lab.tasks.task import Batch, Task

TINY = 1e-12


class FGM(Regularizer):
    """The loss under the worst change of a given length (Miyato et al. 2017, https://arxiv.org/abs/1605.07725).

    The change of a row follows the gradient of its loss by the embeddings. It costs two more passes.

    Args:
        epsilon: length of the change of a row's embeddings.
        weight: of the loss under it.
    """

    def __init__(self, *, epsilon: float = 1.0, weight: float = 1.0) -> None:
        self.epsilon, self.weight = epsilon, weight

    def penalty(self, task: Task, batch: Batch, outputs: Tensor) -> Tensor:
        """The weighted losses under the change."""
        del outputs
        clean: list[Tensor] = []

        def catch(_: int, vectors: Tensor) -> Tensor:
            clean.append(vectors.detach().requires_grad_())
            return clean[-1]

        loss = task.losses(embedded(task, batch, catch), batch).sum()
        steps = [_rescaled(one, self.epsilon) for one in torch.autograd.grad(loss, clean)]
        worst = embedded(task, batch, lambda number, vectors: vectors + steps[number].to(vectors.dtype))
        total: Tensor = task.losses(worst, batch).sum()
        return self.weight * total


class Smart(Regularizer):
    """Outputs that stay the same under small changes of the embeddings: the smoothness term of SMART.

    The change starts as noise and takes one step up the divergence, as in the authors' code; their second part,
    a slow copy of the weights as proximal point, is what ``callbacks=[default,ema]`` resembles. It costs two
    more passes. Source: Jiang et al. 2020, https://arxiv.org/abs/1911.03437.

    Args:
        weight: of the divergence.
        noise: standard deviation of the first change.
        step: largest component of the step.
    """

    def __init__(self, *, weight: float = 1.0, noise: float = 1e-5, step: float = 1e-3) -> None:
        self.weight, self.noise, self.step = weight, noise, step

    def penalty(self, task: Task, batch: Batch, outputs: Tensor) -> Tensor:
        """The weighted divergence of the outputs from those under the change."""
        changes: list[Tensor] = []

        def disturb(_: int, vectors: Tensor) -> Tensor:
            changes.append((torch.randn_like(vectors) * self.noise).requires_grad_())
            return vectors.detach() + changes[-1]

        apart = divergence(task, embedded(task, batch, disturb), outputs.detach(), batch).sum()
        steps = torch.autograd.grad(apart, changes)
        worst = [
            change.detach() + self.step * one / (one.abs().amax(dim=-1, keepdim=True) + TINY)
            for change, one in zip(changes, steps, strict=True)
        ]
        changed = embedded(task, batch, lambda number, vectors: vectors + worst[number])
        total: Tensor = divergence(task, changed, outputs, batch).sum()
        return self.weight * total


def _rescaled(gradient: Tensor, length: float) -> Tensor:
    """Each row [T, W] with the given Euclidean length; a row without a gradient stays at zero."""
    norms = torch.linalg.vector_norm(gradient, dim=tuple(range(1, gradient.ndim)), keepdim=True)
    return gradient * (length / (norms + TINY))
