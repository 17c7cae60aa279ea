"""The operations of objectives that look at a part of the positions, or run a model more than once."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, BertConfig, T5Config, T5ForConditionalGeneration

from llm_lab.models.audio.conformer import Conformer
from llm_lab.tasks.masked_lm import MaskedLM
from llm_lab.tasks.masking import Rates
from llm_lab.tasks.span_corruption import SpanCorruption
from llm_lab.tracking import flops

WIDTH, WORDS, LENGTH, ROWS = 16, 200, 40, 2
SHAPE: flops.Shape = (("input_ids", (ROWS, LENGTH), "int64"), ("segments", (ROWS, LENGTH), "int64"))


def bare(kind: Any, **values: Any) -> Any:
    """A task without data and models."""
    task = kind.__new__(kind)
    torch.nn.Module.__init__(task)
    for name, value in values.items():
        setattr(task, name, value)
    return task


@pytest.mark.parametrize(("train", "passes"), [(False, 1), (True, 3)])  # backward: to states and to weights
def test_only_hidden_tokens_meet_the_vocabulary(train, passes) -> None:
    config = BertConfig(
        vocab_size=WORDS, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    model = AutoModelForMaskedLM.from_config(config)
    head = passes * 2 * WIDTH * WORDS
    tokens = ROWS * LENGTH

    def count(rate: float) -> int:
        task = bare(MaskedLM, rates=Rates(rate, 0.8, 0.1), spec=SimpleNamespace(inputs=()))
        return flops.count(model, {SHAPE: 1}, train=train, forward=task.counted, settings=(rate,)) or 0

    assert count(1.0) - count(0.25) == head * tokens * 3 // 4


def test_a_decoder_is_counted_over_what_the_spans_make() -> None:
    config = T5Config(
        vocab_size=WORDS, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    model = T5ForConditionalGeneration(config)
    task = bare(SpanCorruption, density=0.15, mean_span=3.0)
    counted = flops.count(model, {SHAPE: 1}, train=False, forward=task.counted)
    taken, spans = 6, 2
    whole = {
        "input_ids": torch.zeros(ROWS, LENGTH - taken + spans, dtype=torch.int64),
        "decoder_input_ids": torch.zeros(ROWS, taken + spans + 1, dtype=torch.int64),
    }
    assert counted == flops.count(model, {flops.shape_of(whole): 1}, train=False)


def sounds(*lengths: int) -> dict[flops.Shape, int]:
    return {
        (("values", (ROWS, length, 8), "float32"), ("mask", (ROWS, length), "int64")): 1 for length in lengths
    }


def pairs(*lengths: tuple[int, int]) -> dict[flops.Shape, int]:
    return {
        (("input_ids", (ROWS, long), "int64"), ("decoder_input_ids", (ROWS, short), "int64")): 1
        for long, short in lengths
    }


def conformer() -> torch.nn.Module:
    return Conformer(column={"mels": 8}, width=16, layers=1, halvings=1)


def translator() -> torch.nn.Module:
    config = T5Config(
        vocab_size=WORDS, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    return T5ForConditionalGeneration(config)


@pytest.mark.parametrize(
    ("make", "shapes", "counts", "error"),
    [
        (conformer, sounds(*range(200, 231)), 5, flops.TOLERANCE),  # a stride rounds lengths up
        (translator, pairs(*product(range(10, 14), range(3, 7))), 8, 1e-9),
    ],
)
def test_many_shapes_need_few_counts(make, shapes, counts, error, monkeypatch) -> None:
    model, count_one, counted = make(), flops._count_one, []
    singly = sum(flops.count(model, {shape: times}, train=False) or 0 for shape, times in shapes.items())
    flops._counted.clear()
    monkeypatch.setattr(
        flops, "_count_one", lambda *args, **how: counted.append(1) or count_one(*args, **how)
    )
    assert flops.count(model, shapes, train=False) == pytest.approx(singly, rel=error)
    assert len(counted) == counts
