"""What metrics of ranks have in common, whatever is ranked."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanOfRanks(Metric):
    """The mean of what each rank counts; a subclass says which ranks it takes, and by `worth` what one counts."""

    full_state_update = False
    total: Tensor
    questions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", default=torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("questions", default=torch.tensor(0), dist_reduce_fx="sum")

    def add(self, ranks: Tensor) -> None:
        """Add ranks [N], from 1."""
        self.total += self.worth(ranks.double()).double().sum()
        self.questions += ranks.numel()

    @abstractmethod
    def worth(self, ranks: Tensor) -> Tensor:
        """What each rank [N] counts."""

    def compute(self) -> Tensor:
        """The mean."""
        return (self.total / self.questions.clamp(min=1)).float()


class Kept(Metric):
    """Keeps the named tensors of a split, batch by batch; `compute` gathers them from all processes."""

    full_state_update = False
    names: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__(compute_on_cpu=True)
        for name in self.names:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, **values: Tensor) -> None:
        """Add a batch."""
        for name in self.names:
            getattr(self, name).append(values[name])

    def compute(self) -> dict[str, Tensor]:
        """Each as one tensor on the CPU."""
        return {name: _joined(getattr(self, name)) for name in self.names}


def _joined(parts: list[Tensor] | Tensor) -> Tensor:
    return (parts if isinstance(parts, Tensor) else torch.cat(parts)).cpu()
