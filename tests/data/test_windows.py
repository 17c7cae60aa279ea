"""Windows over long sentences, and the way from words to tokens and back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.data.alignment import IGNORED, Aligner
from llm_lab.data.tagged import tag_batch
from llm_lab.data.tokenizers import Trained
from llm_lab.data.windows import windows

WORDS = ["amber", "birch", "cedar's", "a", "unbelievable", "\u200b", "Ünïque"]


@st.composite
def cases(draw: st.DrawFn):
    capacity = draw(st.integers(1, 12))
    stride = draw(st.integers(0, capacity - 1))
    return draw(st.lists(st.integers(1, capacity), min_size=1, max_size=60)), capacity, stride


@given(cases())
def test_every_word_is_told_once_in_a_window_that_holds_it(case):
    lengths, capacity, stride = case
    found = windows(lengths, capacity=capacity, stride=stride)
    assert [word for w in found for word in range(w.first, w.last)] == list(range(len(lengths)))
    assert all(w.start <= w.first <= w.last <= w.end for w in found)
    assert all(sum(lengths[w.start : w.end]) <= capacity for w in found)
    for before, after in pairwise(found):
        assert sum(lengths[after.start : before.end]) <= stride


def test_a_word_is_told_where_it_has_the_most_context():
    found = windows([1] * 16, capacity=8, stride=4)
    assert [(w.first, w.last) for w in found] == [(0, 6), (6, 10), (10, 16)]


@pytest.fixture(scope="module", params=["wordpiece", "byte_bpe", "unigram", "character"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    Trained(kind=request.param, vocab_size=300).save(folder, lambda: iter(WORDS * 5))
    return folder


@given(sentence=st.lists(st.sampled_from(WORDS), min_size=1, max_size=30))
def test_labels_come_back_in_the_order_of_the_words(tokenizer, sentence):
    aligner = Aligner(tokenizer=tokenizer, max_length=24)
    rows = list(aligner.align([sentence, sentence[:1]]))
    tags = [list(range(len(sentence))), [7]]
    batch = tag_batch(rows, tags, pad_id=aligner.pad_id)
    assert batch["labels"][batch["labels"] != IGNORED].tolist() == [*tags[0], *tags[1]]
    assert batch["words"].tolist() == [len(sentence), 1]
    assert batch["input_ids"].shape[1] <= 24
    assert [sum(row.windows) for row in rows] == [len(row.input_ids) for row in rows]


def test_the_tokens_are_those_of_the_whole_text(tokenizer):
    from transformers import AutoTokenizer

    sentence = [word for word in WORDS if word.isalpha()]
    (row,) = Aligner(tokenizer=tokenizer, max_length=128).align([sentence])
    text = " ".join(sentence)
    if "byte_bpe" in tokenizer.name:  # in words of their own the first has its blank too
        text = " " + text
    assert row.input_ids == AutoTokenizer.from_pretrained(tokenizer)(text)["input_ids"]


def test_no_row_makes_a_filler_without_labels():
    batch = tag_batch([], [], pad_id=0)
    assert batch["input_ids"].shape == (1, 1)
    assert np.all(batch["labels"].numpy() == IGNORED)
