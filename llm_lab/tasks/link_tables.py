"""What a figure hides: ranks by relation, by kind of relation, and whether false triples are told from true ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_lab.knowledge.leaks import leaks
from llm_lab.knowledge.ranking import Ranks
from llm_lab.knowledge.triples import Ids, Triples

MANY = 1.5  # tails per head, or heads per tail, from which a side is called many (Bordes et al. 2013)
KINDS = ("1-1", "1-N", "N-1", "N-N")
SHOWN = 100  # relations in the table, the most frequent first
RESAMPLES, BLOCK = 1000, 50
Rows = list[dict[str, Any]]


def kinds_of(triples: Triples) -> list[str]:
    """The kind of each relation, by its training triples: ``1-N`` has several tails per head, and so on."""
    train = np.unique(triples.splits["train"], axis=0)
    count = len(triples.relations)
    per_relation = np.bincount(train[:, 1], minlength=count)

    def many(column: int) -> Any:
        distinct = np.unique(train[:, [1, column]], axis=0)
        return per_relation / np.maximum(np.bincount(distinct[:, 0], minlength=count), 1) > MANY

    heads, tails = many(2), many(0)
    return [f"{'N' if head else '1'}-{'N' if tail else '1'}" for head, tail in zip(heads, tails, strict=True)]


def by_kind(ranks: Ranks, relations: Tensor, triples: Triples) -> Rows:
    """A row per kind of relation: questions and MRR, of tails and of heads."""
    names = kinds_of(triples)
    numbers = torch.tensor([KINDS.index(name) for name in names])
    return list(_grouped(KINDS, numbers, ranks, relations, "kind"))


def by_relation(ranks: Ranks, relations: Tensor, triples: Triples) -> Rows:
    """A row per relation, the most frequent first."""
    names = [triples.label(name) for name in triples.relations]
    rows = _grouped(names, torch.arange(len(names)), ranks, relations, "relation")
    return sorted(rows, key=lambda row: -row["triples"])[:SHOWN]


def _grouped(
    names: tuple[str, ...] | list[str], numbers: Tensor, ranks: Ranks, relations: Tensor, title: str
) -> Iterator[dict[str, Any]]:
    heads = relations >= len(numbers)
    groups = numbers[relations % len(numbers)]
    worth, top = 1 / ranks.realistic, (ranks.realistic <= 10).double()  # noqa: PLR2004 - hits@10
    cells: dict[str, tuple[Tensor, Any]] = {
        "MRR": (worth, slice(None)),
        "MRR of tails": (worth, ~heads),
        "MRR of heads": (worth, heads),
    }
    cells["hits@10"] = (top, slice(None))
    means = {
        name: _means(values[where], groups[where], len(names)) for name, (values, where) in cells.items()
    }
    counts = torch.bincount(groups, minlength=len(names)) // 2
    for number in counts.nonzero()[:, 0].tolist():
        figures = {name: float(values[number]) for name, values in means.items()}
        yield {title: names[number], "triples": int(counts[number]), **figures}


def _means(values: Tensor, groups: Tensor, count: int) -> Tensor:
    sums = torch.bincount(groups, weights=values, minlength=count)
    return sums / torch.bincount(groups, minlength=count).clamp(min=1)


def interval(worth: Tensor, *, questions: int = 2, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean; ``worth`` [Q N] holds the ``questions`` Q of each triple in turn."""
    both = worth.view(-1, questions).mean(1).numpy()
    random = np.random.default_rng(seed)
    means = [
        both[random.integers(len(both), size=(BLOCK, len(both)), dtype=np.int32)].mean(1)
        for _ in range(RESAMPLES // BLOCK)
    ]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def given_away(triples: Triples) -> dict[str, float]:
    """What of the test split no model earns, or none can: counts under ``leaks/`` and ``unseen/``.

    ``leaks/equal`` triples stand in training, ``leaks/reversed`` ones stand there the other way round by an inverse or
    symmetric relation; ``unseen/entities`` and ``unseen/relations`` stand in no training triple, and
    ``unseen/triples`` have such in them.
    """
    found = leaks(triples, "test")
    return {
        "leaks/equal": float(found.equal),
        "leaks/reversed": float(found.reversed),
        **{f"unseen/{what}": float(count) for what, count in triples.unseen_counts("test").items()},
    }


def classification(scores: dict[str, Tensor], triples: dict[str, Ids]) -> dict[str, float]:
    """Accuracy and F1 of true against false triples of the test split.

    A triple is taken for true from a score on that is chosen for its relation on the validation split; relations
    that do not occur there get the one that is best over all (Socher et al. 2013; CoDEx: Safavi and Koutra 2020,
    https://arxiv.org/abs/2009.07810).

    Args:
        scores: of the triples of ``val``, ``val_negatives``, ``test``, ``test_negatives``.
        triples: ids [N, 3] of each.
    """
    values, truth, relation = _joined("val", scores, triples)
    general = threshold(values, truth)
    chosen = {
        number: threshold(values[relation == number], truth[relation == number])
        for number in np.unique(relation)
    }
    values, truth, relation = _joined("test", scores, triples)
    bars = np.array([chosen.get(number, general) for number in relation])
    said = values >= bars
    right = int((said & truth).sum())
    return {
        "triple_accuracy": float((said == truth).mean()),
        "triple_f1": 2 * right / max(1, int(said.sum() + truth.sum())),
    }


def threshold(values: np.ndarray, truth: np.ndarray) -> float:
    """The score from which on to say true, so that most of these are right."""
    order = np.argsort(values)
    values, truth = values[order], truth[order]
    # Right where the first k are called false: the false among them, and the true among the rest.
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum() - np.concatenate([[0], np.cumsum(truth)])
    right[1:-1][values[1:] == values[:-1]] = -1  # equal scores cannot be told apart
    best = int(right.argmax())
    if best == 0:
        return -np.inf
    return np.inf if best == len(values) else float(values[best - 1] + values[best]) / 2


def _joined(split: str, scores: dict[str, Tensor], triples: dict[str, Ids]) -> tuple[Any, Any, Any]:
    names = (split, f"{split}_negatives")
    values = np.concatenate([scores[name].double().numpy() for name in names])
    truth = np.repeat([True, False], [len(triples[name]) for name in names])
    return values, truth, np.concatenate([triples[name][:, 1] for name in names])
