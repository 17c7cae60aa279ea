"""Memory does not grow with the table, neither in tokenizing nor in training."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from llm_lab.bench.memory import in_own_processes


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells anonymous memory")
def test_three_times_the_rows_take_no_more_memory() -> None:
    """The full measurement, 100,000 against 1,000,000 rows, is the benchmark `memory`."""
    with ThreadPoolExecutor(2) as pool:
        few, many = pool.map(lambda rows: in_own_processes(rows, longest=8), (20_000, 60_000))
    assert many["tokenizing"] < 1.1 * few["tokenizing"]
    assert many["training"] < 1.1 * few["training"]
