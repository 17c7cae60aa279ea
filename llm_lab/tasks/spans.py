"""Span corruption: stretches of text give way to sentinels, and the decoder says what stood there.

Source: T5, https://arxiv.org/abs/1910.10683, and its ``random_spans_noise_mask``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody knows


class Documents(NamedTuple):
    """Stretches of one document in the rows of a batch.

    Attributes:
        row: int64 [D].
        start: int64 [D], first position in the row.
        length: int64 [D].
    """

    row: Tensor
    start: Tensor
    length: Tensor


def documents(segments: Tensor) -> Documents:
    """Where the value of ``segments`` [B, T] changes there begins another document."""
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    row, start = begins.nonzero(as_tuple=True)
    flat = row * segments.shape[1] + start
    end = torch.cat([flat[1:], flat.new_tensor([segments.numel()])])
    return Documents(row, start, end - flat)


def span_counts(lengths: Tensor, *, density: float, mean_length: float) -> tuple[Tensor, Tensor]:
    """How many tokens [D] and in how many spans [D] are taken from documents of these lengths [D]."""
    tokens = (lengths * density).round().long().clamp(min=1).minimum((lengths - 1).clamp(min=0))
    spans = (tokens / mean_length).round().long().clamp(min=1).minimum(tokens).minimum(lengths - tokens)
    return tokens, spans


def cut(lengths: Tensor, noise: tuple[Tensor, Tensor], *, density: float, mean_length: float) -> Tensor:
    """Which tokens are taken: bool [D, L].

    Kept and taken tokens are each cut into as many parts, at random, and the parts alternate, a kept one first.

    Args:
        lengths: tokens of each document, int64 [D].
        noise: two of [D, L] in [0, 1), for the cuts among kept and among taken tokens.
        density: share of the tokens that is taken.
        mean_length: tokens per span.
    """
    tokens, spans = span_counts(lengths, density=density, mean_length=mean_length)
    kept = (lengths - tokens)[:, None]
    item = torch.arange(noise[0].shape[1], device=lengths.device)
    taken = item >= kept  # items: first those that stay, then those that go
    inside = item < lengths[:, None]
    cuts = _pick((item > 0) & ~taken, noise[0], spans - 1) | _pick(
        (item > kept) & inside, noise[1], spans - 1
    )
    part = cuts.cumsum(dim=1) - taken * (spans - 1)[:, None]
    key = (2 * part + taken).masked_fill(~inside, 2 * len(item))
    return (key.sort(dim=1).values % 2 == 1) & inside


class Corrupted(NamedTuple):
    """What encoder and decoder get, padded, each with the number of the document of every token (-1: padding).

    Attributes:
        inputs: int64 [B, S].
        input_segments: int64 [B, S].
        decoder_inputs: int64 [B, U], the targets shifted by one within each document.
        targets: int64 [B, U], -100 where there is padding.
        target_segments: int64 [B, U].
    """

    inputs: Tensor
    input_segments: Tensor
    decoder_inputs: Tensor
    targets: Tensor
    target_segments: Tensor


class Marks(NamedTuple):
    """Numbers of tokens: sentinels int64 [N] in their order, the end of a target, padding, which begins targets."""

    sentinels: Tensor
    end: int
    pad: int


def corrupt(tokens: Tensor, segments: Tensor, taken: Tensor, marks: Marks) -> Corrupted:
    """Replace each span by a sentinel, numbered from 0 in each document, and make the targets.

    Args:
        tokens: int64 [B, T].
        segments: int64 [B, T], number of the document, below 0 for padding.
        taken: bool [B, T], never at the first token of a document.
        marks: the tokens that are put in.
    """
    real = segments >= 0
    last = real & (F.pad(segments[:, 1:], (0, 1), value=-1) != segments)
    begins = taken & ~F.pad(taken[:, :-1], (1, 0))
    sentinel = marks.sentinels[(_number_in_document(begins, segments) - 1).clamp(min=0)]
    stays = real & (~taken | begins)
    place = stays.cumsum(dim=1) - 1
    inputs = _lay(torch.where(begins, sentinel, tokens), place, stays, marks.pad)
    after = (taken.long() + begins + last).cumsum(dim=1)
    own = after - last.long() - 1
    end = torch.full_like(tokens, marks.end)
    pieces = ((sentinel, own - 1, begins), (tokens, own, taken), (end, after - 1, last))
    targets = torch.stack([_lay(values, where, keep, 0, after) for values, where, keep in pieces]).sum(dim=0)
    owners = [_lay(segments + 1, where, keep, 0, after) for _, where, keep in pieces]
    target_segments = torch.stack(owners).sum(dim=0) - 1
    begin = target_segments != F.pad(target_segments[:, :-1], (1, 0), value=-2)
    shifted = F.pad(targets[:, :-1], (1, 0)).masked_fill(begin | (target_segments < 0), marks.pad)
    return Corrupted(
        inputs,
        _lay(segments, place, stays, -1),
        shifted,
        targets.masked_fill(target_segments < 0, -100),
        target_segments,
    )


def _number_in_document(flags: Tensor, segments: Tensor) -> Tensor:
    """Running count of the flags [B, T], from 0 in each document."""
    count = flags.cumsum(dim=1)
    begins = segments != F.pad(segments[:, :-1], (1, 0), value=-2)
    before = torch.where(begins, count - flags.long(), 0)
    return count - before.cummax(dim=1).values


def _lay(values: Tensor, places: Tensor, keep: Tensor, fill: int, counts: Tensor | None = None) -> Tensor:
    """Put the kept values [B, T] at their places in rows as long as the longest needs."""
    width = max(1, int((places + 1 if counts is None else counts).max()))
    rows = values.new_full((len(values), width + 1), fill)
    return rows.scatter_(1, torch.where(keep, places, width), values)[:, :width]


def _pick(candidates: Tensor, noise: Tensor, count: Tensor) -> Tensor:
    """``count`` [D] of the candidates [D, L], at random."""
    rank = noise.masked_fill(~candidates, 2.0).argsort(dim=1).argsort(dim=1)
    return (rank < count[:, None]) & candidates
