"""Kinds of relations, intervals and thresholds, by hand."""

from __future__ import annotations

import numpy as np
import torch

from llm_lab.knowledge.ranking import Ranks
from llm_lab.knowledge.triples import Triples
from llm_lab.tasks.link_tables import by_relation, classification, interval, kinds_of, threshold
from tests.knowledge.toy import toy_triples


def test_kinds_follow_from_tails_per_head_and_heads_per_tail() -> None:
    rows = [[0, 0, 1], [2, 0, 3], [0, 1, 1], [0, 1, 2], [1, 2, 0], [2, 2, 0], [0, 3, 1], [0, 3, 2], [3, 3, 1], [3, 3, 2]]
    triples = Triples(entities=tuple("abcd"), relations=tuple("rstu"), splits={"train": np.array(rows, np.int32)})
    assert kinds_of(triples) == ["1-1", "1-N", "N-1", "N-N"]


def test_a_relation_shows_its_label_and_both_sides() -> None:
    ranks = Ranks(torch.tensor([1, 2, 4, 4]), torch.tensor([1, 2, 4, 4]))
    (row,) = by_relation(ranks, torch.tensor([0, 3, 0, 3]), toy_triples())
    assert (row["relation"], row["triples"]) == ("is a parent of", 2)
    assert (row["MRR of tails"], row["MRR of heads"]) == (0.625, 0.375)


def test_an_interval_holds_the_mean() -> None:
    worth = 1 / torch.arange(1, 201).double()
    low, high = interval(worth)
    assert low < float(worth.mean()) < high < low + 0.1


def test_a_threshold_parts_what_can_be_parted() -> None:
    assert 2 < threshold(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True])) < 3
    assert threshold(np.array([1.0, 2.0]), np.array([True, True])) == -np.inf
    assert threshold(np.array([1.0, 1.0]), np.array([False, False])) == np.inf


def test_thresholds_are_of_the_relation_where_validation_has_it() -> None:
    ids = np.array([[0, 0, 1], [0, 1, 1]], np.int32)
    low, high = torch.tensor([1.0, 11.0]), torch.tensor([2.0, 12.0])
    names = ("val", "val_negatives", "test", "test_negatives")
    found = classification(
        dict(zip(names, (high, low, high, low), strict=True)), dict.fromkeys(names, ids)
    )
    assert found == {"triple_accuracy": 1.0, "triple_f1": 1.0}
