"""Triples of later splits that the training split gives away: equal ones, and reversed ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_lab.knowledge.triples import Ids, Triples

INVERSE = 0.8  # share of a relation's training triples whose reverse the other relation holds (Toutanova and Chen 2015)
LEAST = 10  # training triples of a relation, below which nothing is concluded from them
Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """What of a later split stands in training already.

    Attributes:
        equal: triples that are training triples as well.
        reversed: triples whose reverse is a training triple of an inverse relation, or of the same symmetric one.
        reversed_anyhow: triples with some training triple from their tail to their head.
        by_relation: the reversed ones by relation.
    """

    equal: int
    reversed: int
    reversed_anyhow: int
    by_relation: dict[str, int]


def inverses(triples: Triples, *, share: float = INVERSE) -> dict[tuple[int, int], float]:
    """Pairs of relations -> the share of training triples of the first whose reverse the second holds.

    A pair of a relation with itself is a symmetric relation. Pairs below ``share`` are left out, and relations of
    fewer than ``LEAST`` triples.
    """
    train = triples.splits["train"]
    rows, others = _reverses(train, train, len(triples.entities))
    met = np.unique(np.stack([rows, train[others, 1]], axis=1), axis=0)
    totals = Counter(train[:, 1].tolist())
    counts = Counter(zip(train[met[:, 0], 1].tolist(), met[:, 1].tolist(), strict=True))
    shares = {pair: count / totals[pair[0]] for pair, count in counts.items() if totals[pair[0]] >= LEAST}
    return {pair: found for pair, found in sorted(shares.items()) if found >= share}


def leaks(triples: Triples, split: str) -> Leaks:
    """Compare a later split with the training split."""
    train, later = triples.splits["train"], triples.splits[split]
    known = inverses(triples)
    rows, others = _reverses(later, train, len(triples.entities))
    pairs = zip(later[rows, 1].tolist(), train[others, 1].tolist(), strict=True)
    given = np.unique([row for row, pair in zip(rows.tolist(), pairs, strict=True) if pair in known])
    names = [triples.relations[number] for number in later[given.astype(np.int64), 1].tolist()]
    return Leaks(
        equal=int(np.isin(_whole(later, triples), _whole(train, triples)).sum()),
        reversed=len(given),
        reversed_anyhow=len(np.unique(rows)),
        by_relation=dict(Counter(names).most_common()),
    )


def _reverses(later: Ids, train: Ids, entities: int) -> tuple[Pairs, Pairs]:
    """Rows of ``later`` with the rows of ``train`` that lead from their tail to their head."""
    forward = train[:, 0].astype(np.int64) * entities + train[:, 2]
    backward = later[:, 2].astype(np.int64) * entities + later[:, 0]
    order = np.argsort(forward, kind="stable")
    first = np.searchsorted(forward[order], backward, side="left")
    counts = np.searchsorted(forward[order], backward, side="right") - first
    rows = np.repeat(np.arange(len(later)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[np.repeat(first, counts) + within]


def _whole(part: Ids, triples: Triples) -> Pairs:
    """One number per triple."""
    wide = part.astype(np.int64)
    found: Pairs = (wide[:, 0] * len(triples.relations) + wide[:, 1]) * len(triples.entities) + wide[:, 2]
    return found
