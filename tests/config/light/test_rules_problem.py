"""Data, task and baselines of different kinds are told apart before anything is imported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Result

FAULTS = [
    ("data=film_reviews task=masked_lm baseline=null", "task", "task=sequence_classification"),
    ("+experiment=pretrain_mlm task=sequence_classification", "task", "task=masked_lm"),
    ("+experiment=ner baseline=text_classification", "baseline.tfidf", "baseline=token_classification"),
    ("+experiment=pretrain_mlm task=causal_lm model=gpt2_tiny", "data.next_token", "data.next_token=true"),
    ("+experiment=pretrain_mlm task=masked_lm_nsp", "data.layout", "data.layout=sentence_pairs"),
    ("+experiment=pretrain_mlm_nsp task=masked_lm", "data.layout", "data.layout=packed"),
    ("+experiment=qa task=multiple_choice", "task", "task=question_answering"),
]


@pytest.mark.parametrize(("words", "key", "way"), FAULTS, ids=[words for words, *_ in FAULTS])
def test_kinds_that_do_not_go_together(words: str, key: str, way: str, lab: Callable[..., Result]) -> None:
    result = lab("check", *words.split())
    assert result.code == 2
    assert f"{key}: " in result.err and way in result.err
