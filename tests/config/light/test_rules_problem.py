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


NO_GRAPH = "no graph is chosen, which would give"
RUNS = "+experiment=rules_and_embeddings +model.parts.text=run://"
TOLD = [
    ("+experiment=link_prediction knowledge=null", f"{NO_GRAPH} `data.source`, `data.licence`"),
    ("+experiment=kgqa knowledge=null", "choose a graph by `knowledge=`"),
    (f"{RUNS}experiment/ruels", "did you mean `run://experiment/rules`?"),
    (f"{RUNS}rule", "there is no run `rule`"),
]


@pytest.mark.parametrize(("words", "message"), TOLD, ids=[words for words, _ in TOLD])
def test_graphs_and_runs_that_are_not_there(words: str, message: str, lab: Callable[..., Result]) -> None:
    result = lab("check", *words.split())
    assert result.code == 2
    assert "1 fault in the configuration" in result.err and message in result.err


def test_runs_that_may_be_there_are_left_alone(lab: Callable[..., Result]) -> None:
    for place in ("runs/mine", "abc123", "experiment/rules"):
        assert lab("check", *f"{RUNS}{place}".split()).code == 0


@pytest.mark.parametrize(("words", "key", "way"), FAULTS, ids=[words for words, *_ in FAULTS])
def test_kinds_that_do_not_go_together(words: str, key: str, way: str, lab: Callable[..., Result]) -> None:
    result = lab("check", *words.split())
    assert result.code == 2
    assert f"{key}: " in result.err and way in result.err
