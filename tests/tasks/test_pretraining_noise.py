"""Noise, masks and spans as functions of numbers alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.tasks.masking import Rates, choose, hide
from llm_lab.tasks.noise import uniform
from llm_lab.tasks.spans import Marks, corrupt, cut, documents, span_counts
from llm_lab.tasks.vocabulary import Vocabulary
from tests.tasks.pretraining import SPECIAL, WORDS, blocks, tokenizer_folder

WHERE = {"seed": 3, "epoch": 1, "stream": 0}


@given(rows=st.lists(st.integers(0, 2**40), min_size=1, max_size=8), length=st.integers(1, 40))
def test_a_row_has_the_same_noise_in_whatever_batch(rows, length):
    together = uniform(torch.tensor(rows), length + 3, **WHERE)
    for place, row in enumerate(rows):
        assert torch.equal(uniform(torch.tensor([row]), length, **WHERE)[0], together[place, :length])


def test_noise_is_uniform_and_its_streams_are_unrelated():
    rows = torch.arange(256)
    draws = [
        uniform(rows, 128, **(WHERE | change)).flatten()
        for change in ({}, {"seed": 4}, {"epoch": -1}, {"stream": 1})
    ]
    for draw in draws:
        assert draw.min() >= 0 and draw.max() < 1
        assert torch.histc(draw, 16, 0, 1).sub(len(draw) / 16).abs().max() < 5 * (len(draw) / 16) ** 0.5
    assert torch.corrcoef(torch.stack(draws)).fill_diagonal_(0).abs().max() < 0.02


@given(data=st.data(), rate=st.floats(0.01, 0.99), whole=st.booleans())
def test_exactly_the_share_is_chosen(data, rate, whole):
    length = data.draw(st.integers(1, 30))
    flags = st.lists(st.booleans(), min_size=length, max_size=length)
    candidates, starts = (torch.tensor([data.draw(flags) for _ in range(3)]) for _ in range(2))
    noise = uniform(torch.arange(3), length, **WHERE)
    chosen = choose(candidates, noise, rate=rate, starts=starts if whole else None)
    assert not (chosen & ~candidates).any()
    assert chosen.sum(1).tolist() == [round(rate * count) for count in candidates.sum(1).tolist()]


def test_words_go_together():
    starts = torch.tensor([[True, False, True, False, False, True, False, True]])
    noise = torch.tensor([[0.9, 0.0, 0.2, 0.95, 0.9, 0.1, 0.8, 0.5]])
    candidates = torch.ones_like(starts)
    chosen = choose(candidates, noise, rate=5 / 8, starts=starts)
    assert chosen[0].nonzero().flatten().tolist() == [2, 3, 4, 5, 6]


def test_an_ideograph_is_a_word_of_its_own():
    starts = Vocabulary(tokenizer_folder()).starts
    assert [bool(starts[len(SPECIAL) + WORDS.index(token)]) for token in ("a", "##a", "\u4e2d", "##\u6587")] == [
        True, False, True, True,
    ]  # fmt: skip


def test_fates_follow_their_rates_and_special_tokens_stay():
    vocabulary, batch = Vocabulary(tokenizer_folder()), blocks(2000)
    tokens = batch["input_ids"]
    tokens[:, 0] = 2
    changed, hidden = hide(
        tokens, batch["index"], vocabulary, rates=Rates(0.15, 0.8, 0.1), whole_words=False, seed=0, epoch=0
    )
    assert not hidden[:, 0].any()
    assert torch.equal(changed[~hidden], tokens[~hidden])
    total = int(hidden.sum())
    masked = (changed == vocabulary.mask)[hidden].sum() / total
    kept = (changed == tokens)[hidden].sum() / total
    assert masked == pytest.approx(0.8, abs=0.02)
    assert kept == pytest.approx(0.1 + 0.1 / len(WORDS), abs=0.02)
    assert vocabulary.ordinary[changed[hidden & (changed != vocabulary.mask)]].all()


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    density=st.floats(0.05, 0.6),
    mean=st.floats(1, 5),
)
def test_spans_have_the_size_and_number_that_were_asked_for(lengths, density, mean):
    sizes = torch.tensor(lengths)
    noise = tuple(
        uniform(torch.arange(len(lengths)), max(lengths), seed=0, epoch=0, stream=s) for s in (0, 1)
    )
    taken = cut(sizes, noise, density=density, mean_length=mean)
    tokens, spans = span_counts(sizes, density=density, mean_length=mean)
    begins = taken & ~torch.nn.functional.pad(taken[:, :-1], (1, 0))
    assert taken.sum(1).tolist() == tokens.tolist()
    assert begins.sum(1).tolist() == spans.tolist()
    assert not taken[:, 0].any()


@settings(max_examples=40)
@given(seed=st.integers(0, 1000))
def test_inputs_and_targets_together_are_the_text(seed):
    batch = blocks(3, seed)
    tokens, segments = batch["input_ids"], batch["segments"]
    found = documents(segments)
    taken = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(seed)) < 0.3
    taken[found.row, found.start] = False
    marks = Marks(torch.arange(100, 120), end=5, pad=0)
    made = corrupt(tokens, segments, taken, marks)
    for row in range(3):
        for document in (1, 2, 3):
            given = made.inputs[row][made.input_segments[row] == document].tolist()
            asked = made.targets[row][made.target_segments[row] == document].tolist()
            decoder = made.decoder_inputs[row][made.target_segments[row] == document].tolist()
            assert decoder == [0, *asked[:-1]]
            assert asked[-1] == 5
            pieces: dict[int, list[int]] = {}
            for token in asked[:-1]:
                if token >= 100:
                    pieces[token] = []
                else:
                    pieces[list(pieces)[-1]].append(token)
            assert list(pieces) == list(range(100, 100 + len(pieces)))
            text = [part for token in given for part in pieces.get(token, [token])]
            assert text == tokens[row][segments[row] == document].tolist()
