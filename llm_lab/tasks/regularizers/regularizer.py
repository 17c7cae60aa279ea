"""The base of all regularizers, how far two outputs are apart, and a forward pass with changed embeddings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.errors import ConfigError

if TYPE_CHECKING:
    from llm_lab.tasks.task import Batch, Task

IGNORED = -100


class Regularizer(ABC):
    """Adds a term to the training loss of any task."""

    @abstractmethod
    def penalty(self, task: Task, batch: Batch, outputs: Tensor) -> Tensor:
        """The term, a sum over the batch's targets: it is divided as the losses are, by the targets of the step.

        Args:
            task: gives outputs by ``task(batch)`` and losses by ``task.losses(outputs, batch)``.
            batch: of the step.
            outputs: what the task has computed from it, with their graph.
        """


def divergence(task: Task, left: Tensor, right: Tensor, batch: Batch) -> Tensor:
    """How far two outputs are apart, per target and symmetric: half of both Kullback-Leibler divergences.

    For numbers it is the squared distance; for label sets the mean over the labels, as their loss is.

    Args:
        task: says by its data what the outputs are.
        left: logits [..., C].
        right: logits of the same shape.
        batch: its ``labels`` [...] say which targets count.

    Raises:
        ConfigError: the outputs are no logits of one class per label.
    """
    if task.spec.problem == "regression":
        return (left - right).square().sum(dim=-1)
    if task.spec.problem == "multi_label":
        return ((left.sigmoid() - right.sigmoid()) * (left - right)).mean(dim=-1) / 2
    labels = batch["labels"]
    if left.shape[:-1] != labels.shape:
        raise ConfigError(
            f"task.regularizers: {type(task).__name__} does not give a row of logits per label, "
            f"but outputs {tuple(left.shape)} for labels {tuple(labels.shape)}"
        )
    logs, others = F.log_softmax(left, dim=-1), F.log_softmax(right, dim=-1)
    both = ((logs.exp() - others.exp()) * (logs - others)).sum(dim=-1) / 2  # KL(p, q) + KL(q, p), halved
    return both[labels != IGNORED]


def embedded(task: Task, batch: Batch, change: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Outputs of a forward pass whose word embeddings [B, T, W] are changed.

    Args:
        task: whose model it is.
        batch: the inputs.
        change: takes the number of the look-up (an encoder's is 0, its decoder's 1) and the embeddings.
    """
    network: Any = task.network()
    calls: list[int] = []

    def hook(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        calls.append(len(calls))
        return change(calls[-1], output)

    handle = network.get_input_embeddings().register_forward_hook(hook)
    try:
        return task(batch)
    finally:
        handle.remove()
