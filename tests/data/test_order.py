"""The order of the rows: complete, repeatable, independent of how a step is cut, and short of padding."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.data.order import WINDOW, Cut, Order, shuffled
from tests.conftest import SHARED

LENGTHS = np.random.default_rng(0).integers(3, 60, 20_000)


def order(rows, *, rank=0, batch_size=4, accumulate=1, world=1, seed=7, window=WINDOW) -> Order:
    cut = Cut(batch_size=batch_size, accumulate=accumulate, world_size=world, rank=rank)
    with patch("llm_lab.data.order.WINDOW", window):
        return Order(rows=rows, lengths=lambda places: LENGTHS[places], cut=cut, seed=seed)


def ranks(rows: int, world: int, epoch: int = 0, **options) -> list[list[tuple[list[int], int]]]:
    """The batches of every rank."""
    orders = [order(rows, rank=rank, world=world, **options) for rank in range(world)]
    return [[(batch.tolist(), len(step)) for batch, step in one.batches(epoch)] for one in orders]


@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 1000))
def test_a_permutation_without_its_memory(count: int, seed: int, epoch: int) -> None:
    rows = shuffled(np.arange(count), count, seed=(seed, epoch))
    assert sorted(rows.tolist()) == list(range(count))
    some = np.array([0, count // 2, count - 1])
    assert shuffled(some, count, seed=(seed, epoch)).tolist() == rows[some].tolist()


def test_a_permutation_looks_random() -> None:
    """Neighbours do not stay neighbours, and every place holds every value about equally often."""
    first = [shuffled(np.arange(100), 100, seed=(0, epoch)) for epoch in range(4000)]
    counts = np.bincount([int(rows[0]) for rows in first], minlength=100)
    assert ((counts - 40) ** 2 / 40).sum() < 160  # chi-square with 99 degrees of freedom: p = 0.0001
    steps = np.concatenate([np.abs(np.diff(rows)) for rows in first])
    assert 0.9 < steps.mean() / 33.67 < 1.1  # what independent places give: (n + 1) / 3


CUTS = {"batch_size": st.integers(1, 9), "accumulate": st.integers(1, 4), "world": st.integers(1, 5)}
CUTS |= {"window": st.sampled_from([16, WINDOW])}


@settings(deadline=None)
@given(rows=st.integers(1, 500), epoch=st.integers(0, 3), seed=st.sampled_from([None, 3]), **CUTS)
def test_every_row_once_on_any_number_of_ranks(
    rows, epoch, seed, batch_size, accumulate, world, window
) -> None:
    batches = ranks(
        rows, world, epoch, batch_size=batch_size, accumulate=accumulate, seed=seed, window=window
    )
    assert sorted(row for rank in batches for batch, _ in rank for row in batch) == list(range(rows))
    assert len({len(rank) for rank in batches}) == 1
    assert all(len(batch) <= batch_size for rank in batches for batch, _ in rank)
    assert len(batches[0]) == -(-rows // (batch_size * world))


@settings(deadline=None)
@given(rows=st.integers(1, 500), epoch=st.integers(0, 3), **CUTS)
def test_a_step_holds_the_same_rows_however_it_is_cut(
    rows, epoch, batch_size, accumulate, world, window
) -> None:
    whole = [
        set(batch)
        for batch, _ in ranks(rows, 1, epoch, batch_size=batch_size * accumulate * world, window=window)[0]
    ]
    batches = ranks(rows, world, epoch, batch_size=batch_size, accumulate=accumulate, window=window)
    for number, step in enumerate(whole):
        parts = [batch for rank in batches for batch in rank[number * accumulate : (number + 1) * accumulate]]
        assert {row for batch, _ in parts for row in batch} == step
        assert {total for _, total in parts} == {len(step)}


@settings(deadline=None)
@given(rows=st.integers(1, 500), start=st.integers(0, 60), **CUTS)
def test_going_on_from_anywhere(rows, start, batch_size, accumulate, world, window) -> None:
    one = order(rows, batch_size=batch_size, accumulate=accumulate, world=world, window=window)
    whole = [batch.tolist() for batch, _ in one.batches(1)]
    assert [batch.tolist() for batch, _ in one.batches(1, start)] == whole[start:]


def test_epochs_and_seeds_differ_and_repeat() -> None:
    def rows(epoch: int, seed: int) -> list[int]:
        return [row for batch, _ in order(300, seed=seed).batches(epoch) for row in batch.tolist()]

    assert rows(0, 7) == rows(0, 7)
    assert len({tuple(rows(epoch, seed)) for epoch in range(3) for seed in range(3)}) == 9


def test_an_epoch_broken_off_counts_only_the_rows_it_sees() -> None:
    one = order(100, batch_size=4, accumulate=3)
    assert [len(step) for _, step in one.batches(0, stop=5)] == [12, 12, 12, 8, 8]


def test_more_ranks_than_rows_give_empty_batches() -> None:
    sizes = [[len(batch) for batch, _ in rank] for rank in ranks(3, 5)]
    assert sizes == [[1], [1], [1], [0], [0]]


def test_evaluation_keeps_windows_in_their_order() -> None:
    rows = np.concatenate([batch for batch, _ in order(3 * WINDOW, seed=None).batches(0)])
    assert [set(part) for part in np.split(rows // WINDOW, 3)] == [{0}, {1}, {2}]


def padding(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    cells = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    return 1 - sum(int(lengths[batch].sum()) for batch in batches) / cells


@pytest.mark.parametrize("rows", [5000, 6920, 20_000])
@pytest.mark.parametrize("seed", [None, 1])
def test_little_padding(rows: int, seed: int | None) -> None:
    one = order(rows, batch_size=32, seed=seed)
    assert padding(LENGTHS, [batch for batch, _ in one.batches(0)]) < 0.03


@pytest.mark.skipif(not (SHARED / "sst2").is_dir(), reason="needs shared/data/sst2")
def test_little_padding_on_sst2() -> None:
    texts = (SHARED / "sst2" / "train.tsv").read_text(encoding="utf-8").splitlines()
    lengths = np.array([len(text.split()) + 2 for text in texts])
    cut = Cut(batch_size=32)
    one = Order(rows=len(texts), lengths=lambda rows: lengths[rows], cut=cut, seed=1)
    assert padding(lengths, [batch for batch, _ in one.batches(0)]) < 0.05
    random = np.array_split(np.random.default_rng(0).permutation(len(texts)), len(texts) // 32)
    assert padding(lengths, random) > 0.3
