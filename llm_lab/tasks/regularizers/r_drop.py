"""R-Drop: two passes under different dropout are to say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from llm_lab.tasks.regularizers.regularizer import Regularizer, divergence

if TYPE_CHECKING:
    from llm_lab.tasks.task import Batch, Task


class RDrop(Regularizer):
    """The mean loss of two passes plus their divergence (Liang et al. 2021, https://arxiv.org/abs/2106.14448).

    Args:
        weight: of the divergence; the paper tries 1 to 5 for classification.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        self.weight = weight

    def penalty(self, task: Task, batch: Batch, outputs: Tensor) -> Tensor:
        """Half the difference of the passes' losses, which makes their mean of the first, and the divergence."""
        second = task(batch)
        losses = task.losses(second, batch).sum() - task.losses(outputs, batch).sum()
        apart: Tensor = divergence(task, outputs, second, batch).sum()
        return losses / 2 + self.weight * apart
