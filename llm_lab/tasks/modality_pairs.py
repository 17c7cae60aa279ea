"""Which contents of two modalities belong together, and how well vectors find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from llm_lab.data.spec import SAME
from llm_lab.tasks.rank_metrics import Kept
from llm_lab.tasks.ranking import Pairs, compare, first_places, pairs
from llm_lab.tasks.retrieval_metrics import RankMetric


class Vectors(Kept):
    """Vectors [B, N, D] of the inputs of a split.

    With them are kept numbers of their contents [B, N], which are there [B, N], the numbers of what makes rows
    belong together [B], -1 where a row stands by itself, and those of the rows themselves [B].
    """

    names = ("vectors", "ids", "present", SAME, "index")


class Matched(NamedTuple):
    """Contents of two modalities, and what belongs together.

    Attributes:
        rows: [R] rows that have both.
        pairs: each content once.
        owner: [P] the row of each pair: that in which its query first stands.
    """

    rows: Tensor
    pairs: Pairs
    owner: Tensor


def matched(told: Mapping[str, Tensor], one: int, other: int) -> Matched:
    """What belongs together of two inputs.

    Args:
        told: what `Vectors` keeps.
        one: number of the input that asks.
        other: of that which answers.
    """
    rows = told["present"][:, [one, other]].all(dim=1).nonzero().squeeze(1)
    vectors, ids, same = told["vectors"][rows], told["ids"][rows], told[SAME][rows]
    if (same >= 0).all():
        return _alike(rows, vectors[:, one], vectors[:, other], ids[:, one], ids[:, other], same)
    found = pairs(
        {
            "anchors": vectors[:, one],
            "candidates": vectors[:, other],
            "anchor": ids[:, one],
            "text": ids[:, other],
            "owner": ids[:, one],
            "positive": torch.ones(len(rows), dtype=torch.bool, device=rows.device),
        }
    )
    return Matched(rows, found, rows)


def _alike(
    rows: Tensor, queries: Tensor, keys: Tensor, query_ids: Tensor, key_ids: Tensor, kinds: Tensor
) -> Matched:
    """Every query with all keys of its kind."""
    first_query, first_key = first_places(query_ids)[1], first_places(key_ids)[1]
    row, column = (kinds[first_query][:, None] == kinds[first_key]).nonzero(as_tuple=True)
    return Matched(rows, Pairs(queries[first_query], keys[first_key], row, column), rows[first_query][row])


class Asked(NamedTuple):
    """The questions of one direction.

    Attributes:
        ranks: [Q] from 1, of the best right answer.
        back: [K] those of the other direction.
        rows: [Q] in which what is asked with first stands.
    """

    ranks: Tensor
    back: Tensor
    rows: Tensor


def directions(told: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Asked]:
    """What every ordered pair of modalities that share rows asks, by ``A_to_B``.

    Args:
        told: what `Vectors` keeps.
        names: of the inputs.
    """
    found = {}
    for one, other in combinations(range(len(names)), 2):
        rows, both, _ = matched(told, one, other)
        if len(both.row):
            ranks = compare(both)[1], compare(both.back())[1]
            firsts = (rows[first_places(told["ids"][rows, place])[1]] for place in (one, other))
            found[f"{names[one]}_to_{names[other]}"] = Asked(*ranks, next(firsts))
            found[f"{names[other]}_to_{names[one]}"] = Asked(*ranks[::-1], next(firsts))
    return found


def measure(metrics: MetricCollection, forward: Tensor, back: Tensor) -> dict[str, Tensor]:
    """The metrics of ranks [Q] and of those of the other direction."""
    metrics.update(forward=forward, back=back)
    values: dict[str, Tensor] = metrics.compute()
    metrics.reset()
    return values


def by_row(found: Mapping[str, Asked], metrics: MetricCollection, rows: int) -> dict[str, Tensor]:
    """Parts [N, 2] of ``A_to_B/METRIC``, see `llm_lab.results.rows`; a row without a question of its own has zeros."""
    parts = {}
    for way, asked in found.items():
        for name, metric in metrics.items():
            worth = cast("RankMetric", metric).worth(asked.ranks.double()).double()
            told = torch.stack([worth, torch.ones_like(worth)], dim=1)
            parts[f"{way}/{name}"] = told.new_zeros(rows, 2).index_add(0, asked.rows, told)
    return parts


def flat(found: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """``A_to_B/METRIC`` of each direction, and ``METRIC``, the mean over them."""
    values = {f"{way}/{name}": value for way, one in found.items() for name, value in one.items()}
    names = next(iter(found.values()), {})
    return values | {name: torch.stack([one[name] for one in found.values()]).mean() for name in names}
