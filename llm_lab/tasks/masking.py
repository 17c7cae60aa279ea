"""Which tokens are hidden, and what stands in their place."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from llm_lab.tasks.noise import uniform
from llm_lab.tasks.vocabulary import Vocabulary

CHOICE, FATE, TOKEN = 0, 1, 2  # streams of noise


class Rates(NamedTuple):
    """Share of the tokens that are hidden, and what becomes of them; the rest of these keep their token."""

    masked: float
    replaced_by_mask: float
    replaced_by_random: float


def choose(candidates: Tensor, noise: Tensor, *, rate: float, starts: Tensor | None = None) -> Tensor:
    """Pick exactly ``round(rate * candidates of the row)`` positions of each row.

    Args:
        candidates: bool [B, T], where picking is allowed.
        noise: [B, T] in [0, 1); the smallest are picked.
        rate: share of the candidates.
        starts: bool [B, T], where a word begins: all of a word goes together, but for the last word picked, which
            is cut where the count is full. None for single tokens.

    Returns:
        bool [B, T].
    """
    places = torch.arange(noise.shape[1], device=noise.device).expand_as(noise)
    if starts is not None:
        noise = noise.gather(
            1, (places * starts).cummax(dim=1).values
        )  # a word shares the noise of its start
    order = noise.masked_fill(~candidates, 2.0).argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, places)
    count = (rate * candidates.sum(dim=1, keepdim=True)).round()
    return (rank < count) & candidates


def hide(
    tokens: Tensor,
    rows: Tensor,
    vocabulary: Vocabulary,
    *,
    rates: Rates,
    whole_words: bool,
    seed: int,
    epoch: int,
) -> tuple[Tensor, Tensor]:
    """Tokens [B, T] as the model gets them, and where it is asked for the original, bool [B, T].

    Dynamic masking: another epoch, other masks (RoBERTa, https://arxiv.org/abs/1907.11692).
    """

    def noise(stream: int) -> Tensor:
        return uniform(rows, tokens.shape[1], seed=seed, epoch=epoch, stream=stream)

    starts = vocabulary.starts[tokens] if whole_words else None
    masked = choose(vocabulary.ordinary[tokens], noise(CHOICE), rate=rates.masked, starts=starts)
    fate = noise(FATE)
    by_mask = masked & (fate < rates.replaced_by_mask)
    by_random = masked & ~by_mask & (fate < rates.replaced_by_mask + rates.replaced_by_random)
    drawn = vocabulary.words[(noise(TOKEN) * len(vocabulary.words)).long()]
    hidden = torch.where(by_random, drawn, tokens.masked_fill(by_mask, vocabulary.mask))
    return hidden, masked
