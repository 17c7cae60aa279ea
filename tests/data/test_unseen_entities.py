"""Splits whose later entities training never shows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.data.triple_rows import Unseen
from llm_lab.errors import DataError
from tests.knowledge.toy import families

TRIPLES = families(20)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.05, 0.5), seed=st.integers(0, 1000))
def test_training_never_shows_what_is_held_out_and_no_triple_is_lost(share: float, seed: int) -> None:
    try:
        splits = Unseen(share, seed).divided(TRIPLES)
    except DataError:
        return  # every triple touches an entity that is held out
    assert sorted(row for rows in splits.values() for row in rows) == sorted(set(TRIPLES))
    seen = {name for head, _, tail in splits["train"] for name in (head, tail)}
    for split in ("val", "test"):
        assert all(not {head, tail} <= seen for head, _, tail in splits[split])


def test_the_split_follows_the_seed_and_not_the_order_of_rows() -> None:
    one = Unseen(0.2, 1).divided(TRIPLES)
    assert one == Unseen(0.2, 1).divided(reversed(TRIPLES))
    assert one != Unseen(0.2, 2).divided(TRIPLES)


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"data.inductive: 0.1 of 2 entities leaves no triple for train"):
        Unseen(0.1, 0).divided([("a", "likes", "b")])
