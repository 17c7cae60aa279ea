"""What every model of link prediction is: something that scores all entities as the answer to a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llm_lab.knowledge.ranking import Answers, Queries
from llm_lab.knowledge.triples import Triples

WEIGHTS = "model.safetensors"


class Scorer(nn.Module, ABC):
    """Scores triples; higher is likelier.

    Attributes:
        entities: how many there are.
        relations: how many there are, inverses not counted.
    """

    entities: int
    relations: int

    @abstractmethod
    def answer(self, sources: Tensor, relations: Tensor) -> Tensor:
        """Scores [B, E] of all entities as answers to queries of both directions, see `llm_lab.knowledge.ranking`."""

    def score_tails(self, heads: Tensor, relations: Tensor) -> Tensor:
        """Scores [B, E] of all entities as tails of heads [B] and relations [B]."""
        return self.answer(heads, relations)

    def score_heads(self, relations: Tensor, tails: Tensor) -> Tensor:
        """Scores [B, E] of all entities as heads of relations [B] and tails [B]."""
        return self.answer(tails, relations + self.relations)

    def learn(self, triples: Triples) -> None:
        """Learn what needs no gradient from the training triples; called once, before the fit.

        An embedding learns by gradient alone, and nothing here.

        Raises:
            InterruptedLearning: Ctrl-C, and what was learned so far can be used.
        """

    @property
    def trains(self) -> bool:
        """Whether there is anything that a gradient could change."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def score(self, triples: Tensor) -> Tensor:
        """Scores [N] of triples [N, 3]: the mean over both questions."""
        queries = Queries.of(triples, self.relations)
        found = self.answer(queries.sources, queries.relations).gather(1, queries.targets[:, None])
        return found.view(2, -1).mean(0)

    def served(self) -> Scorer:
        """What is saved and answers questions afterwards; itself, where nothing can be left away."""
        return self

    def described(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """The node by which a saved model is built before it reads what `write` wrote."""
        return dict(node)

    def write(self, folder: Path) -> None:
        """Write what was learned into a folder: tensors as safetensors."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    def read(self, folder: Path) -> None:
        """Take over what `write` wrote."""
        self.load_state_dict(load_file(folder / WEIGHTS))


class Contrasting(Scorer):
    """A scorer that knows what it is to be taught by: it sets the answers of a batch against each other."""

    @abstractmethod
    def contrast(self, asked: Queries, taught: Answers) -> Tensor:
        """Losses [2 N] of both questions of each triple of a batch, in the order of `Queries.of`.

        Args:
            asked: the questions and their answers.
            taught: all answers that the training triples give; none of them is a wrong one.
        """


def device_of(module: nn.Module) -> torch.device:
    """Where a model's tensors lie."""
    return next((tensor.device for tensor in module.state_dict().values()), torch.device("cpu"))
