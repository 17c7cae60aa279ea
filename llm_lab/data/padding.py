"""How much of a split's batches is padding."""

from __future__ import annotations

from itertools import islice

from llm_lab.data.loader import BatchLoader
from llm_lab.data.order import Cut, Order

MOST_BATCHES = 2000


def padding_share(loader: BatchLoader, batch_size: int) -> float:
    """Share of padding among the tokens of (at most the first 2,000) batches of one process."""
    cut = Cut(batch_size=batch_size)
    order = Order(rows=len(loader.table), lengths=loader.table.lengths, cut=cut, seed=loader.seed)
    tokens = cells = 0
    for rows, _ in islice(order.batches(epoch=0), MOST_BATCHES):
        lengths = loader.table.lengths(rows)
        tokens += int(lengths.sum())
        cells += int(lengths.max()) * len(rows)
    return round(1 - tokens / max(cells, 1), 4)
