"""A linear chain over the tags of a sentence (Lafferty, McCallum and Pereira 2001), kept to what a scheme allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers.utils import SAFE_WEIGHTS_NAME

from llm_lab.data.tags import follows, scheme_of
from llm_lab.models.wrapper import Wrapper

NAME = "crf"
NEVER = (
    -1e4
)  # score of what the scheme forbids: e to it is 0 in single precision, and it has no NaN in its gradient


class LinearChain(nn.Module):
    """Scores of neighbouring tags beside the model's scores of each word.

    Args:
        labels: names of the tags, C of them.

    Attributes:
        transitions: score [C + 1, C + 1] of a tag behind another; the last row is the beginning of a sentence, the
            last column its end.
    """

    allowed: Tensor

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        scheme, around = scheme_of(labels), [*labels, None]
        allowed = [[follows(before, after, scheme) for after in around] for before in around]
        self.register_buffer("allowed", torch.tensor(allowed), persistent=False)
        self.transitions = nn.Parameter(torch.zeros(len(around), len(around)))

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of a tag behind another [C, C], at the beginning [C] and at the end [C]."""
        scores = self.transitions.float().masked_fill(~self.allowed, NEVER)
        return scores[:-1, :-1], scores[-1, :-1], scores[:-1, -1]

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Negative log-likelihoods [B] of tags [B, T] under emissions [B, T, C]; the mask [B, T] begins with True."""
        return self._partition(emissions, mask) - self._score(emissions, tags, mask)

    def _score(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        between, begin, end = self._scores()
        words = emissions.gather(2, tags[..., None]).squeeze(2)
        pairs = between[tags[:, :-1], tags[:, 1:]]
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)
        return begin[tags[:, 0]] + (words * mask).sum(1) + (pairs * mask[:, 1:]).sum(1) + end[last]

    def _partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Logarithm of the sum over all sequences of tags, [B]: the forward algorithm."""
        between, begin, end = self._scores()
        alpha = begin + emissions[:, 0]
        for place in range(1, emissions.shape[1]):
            further = (alpha[:, :, None] + between).logsumexp(1) + emissions[:, place]
            alpha = torch.where(mask[:, place, None], further, alpha)
        return (alpha + end).logsumexp(1)

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """The likeliest tags [B, T], anything behind the end of a sentence (Viterbi 1967)."""
        between, begin, end = self._scores()
        best, stay = begin + emissions[:, 0], torch.arange(emissions.shape[2], device=emissions.device)
        steps = []
        for place in range(1, emissions.shape[1]):
            further, origin = (best[:, :, None] + between).max(1)
            inside = mask[:, place, None]
            best = torch.where(inside, further + emissions[:, place], best)
            steps.append(torch.where(inside, origin, stay))
        path = [(best + end).argmax(1)]
        for origin in reversed(steps):
            path.append(origin.gather(1, path[-1][:, None]).squeeze(1))
        return torch.stack(path[::-1], dim=1)


def sentences(words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Values of words [N, ...] as sentences [B, T, ...], with their mask [B, T]."""
    padded = pad_sequence(list(torch.split(words, lengths.tolist())), batch_first=True)
    return padded, torch.arange(padded.shape[1], device=words.device) < lengths[:, None]


class ChainWrapper(Wrapper):
    """Puts a `LinearChain` beside a model's head, as its part ``crf``: it trains and is saved with the model.

    Args:
        labels: names of the tags.
        folder: a saved model whose chain it goes on from, where it has one of the same tags.
    """

    writes_weights = False

    def __init__(self, *, labels: Sequence[str], folder: str | None = None) -> None:
        self.labels, self.folder = labels, folder

    def __call__(self, module: nn.Module) -> nn.Module:
        """Add the chain."""
        module.add_module(NAME, chain(self.labels, Path(self.folder) if self.folder else None))
        return module


def chain(labels: Sequence[str], folder: Path | None) -> LinearChain:
    """A new chain, with the transitions of a saved model where it has those of as many tags."""
    made = LinearChain(labels)
    saved = transitions(folder) if folder else None
    if saved is not None and saved.shape == made.transitions.shape:
        made.transitions.data.copy_(saved)
    return made


def transitions(folder: Path) -> Tensor | None:
    """The transitions that lie beside the weights of a model's folder."""
    file = folder / SAFE_WEIGHTS_NAME
    if not file.is_file():
        return None
    with safe_open(file, framework="pt") as weights:
        name = f"{NAME}.transitions"
        return weights.get_tensor(name).float() if name in weights.keys() else None  # noqa: SIM118 - no mapping
