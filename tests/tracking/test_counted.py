"""The operations of objectives that look at a part of the positions, or run a model more than once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, BertConfig, T5Config, T5ForConditionalGeneration

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
