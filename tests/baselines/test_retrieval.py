"""BM25 against its own formula, and rows of texts as numbered pairs."""

from __future__ import annotations

import math

import pytest

from llm_lab.baselines.bm25 import BM25
from llm_lab.baselines.retrieval import TextPairs
from tests.models.tiny import tiny_spec

TEXTS = ["green apple tree", "red apple", "blue sky above green hills", "night"]


def test_scores_are_those_of_the_formula() -> None:
    scores = BM25(k1=1.2, b=0.6).scores(["green apple", "sky sky", "unknown"], TEXTS)
    words = [text.split() for text in TEXTS]
    mean = sum(map(len, words)) / len(words)

    def score(query: str, text: list[str]) -> float:
        total = 0.0
        for word in query.split():
            count, holding = text.count(word), sum(word in one for one in words)
            idf = math.log(1 + (len(words) - holding + 0.5) / (holding + 0.5))
            total += idf * count / (count + 1.2 * (0.4 + 0.6 * len(text) / mean))
        return total

    assert scores[0].tolist() == pytest.approx([score("green apple", text) for text in words], rel=1e-4)
    assert scores[2].tolist() == [0, 0, 0, 0]
    assert scores[1].argmax() == 2


def test_texts_that_several_rows_have_stand_once() -> None:
    found = TextPairs.of(
        [
            {"anchor": "a", "positive": ["x", "y"], "negative": ["z"]},
            {"anchor": "b", "positive": ["y"], "negative": []},
        ]
    )
    assert found.keys == ["x", "y", "z"]
    assert list(zip(found.row.tolist(), found.column.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 1)]


def test_bm25_finds_what_shares_words() -> None:
    class Data:
        def rows(self, split: str):
            assert split == "test"
            pairs = [(f"about {text.split()[-1]}", text) for text in TEXTS]
            pairs.append(("nothing in common", "odd words"))
            return [{"anchor": anchor, "positive": [text], "negative": []} for anchor, text in pairs]

    recall = {"_target_": "llm_lab.tasks.retrieval_metrics.Recall", "k": 1}
    metrics = {"recall_at_1": recall, "back": {**recall, "direction": "back"}}
    values = BM25().evaluate(Data(), spec=tiny_spec(), metrics=metrics, split="test")
    assert values["recall_at_1"] == pytest.approx(0.8)  # without a word in common all is a tie, and lost
    assert 0 < values["back"] < 0.8  # `green apple tree` has a word in common with two anchors
