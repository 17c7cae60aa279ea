"""Baselines learn what they should, on each kind of target, and are measured like the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llm_lab.baselines.baseline import Baseline
from llm_lab.baselines.evaluate import evaluate_baselines
from llm_lab.config import build
from tests.models.tiny import option, options, tiny_spec

WORD = {"bad": "grim", "fair": "plain", "good": "bright"}
METRICS = {
    "single_label": option("task", "sequence_classification").metrics,
    "multi_label": option("task", "multi_label_classification").metrics,
    "regression": option("task", "text_regression").metrics,
}


class Rows:
    """Rows whose label stands in the text: half of them good, a third fair, the rest bad."""

    def __init__(self, label):
        names = ["good"] * 15 + ["fair"] * 10 + ["bad"] * 5
        self.data = [
            {"text": f"the film is {WORD[name]} {WORD[name]} number{i}", "label": label(name)}
            for i, name in enumerate(names)
        ]

    def rows(self, split):
        return iter(self.data if split == "train" else self.data[::3])


LABEL = {
    "single_label": lambda name: name,
    "multi_label": lambda name: [name] if name != "fair" else ["good", "bad"],
    "regression": lambda name: {"bad": -1.0, "fair": 0.0, "good": 1.0}[name],
}


def spec(problem):
    labels = ("bad", "fair", "good") if problem != "regression" else ("score",)
    return tiny_spec(problem, labels=labels)


@pytest.mark.parametrize("name", [name for name in options("baseline") if name.startswith("text_")])
@pytest.mark.parametrize("problem", list(LABEL))
def test_shipped_baselines_on_every_kind_of_target(name, problem):
    data = Rows(LABEL[problem])
    values = evaluate_baselines(
        option("baseline", name), data=data, spec=spec(problem), metrics=METRICS[problem]
    )
    better = {"single_label": "accuracy", "multi_label": "f1", "regression": "pearson"}[problem]
    assert {key.split("/")[1] for key in values} == {"majority", "tfidf"}
    assert values[f"baseline/tfidf/{better}"] > 0.6
    assert not values[f"baseline/majority/{better}"] >= 0.6


def test_majority_is_as_often_right_as_its_label_occurs():
    values = evaluate_baselines(
        {"majority": option("baseline", "text_classification").majority},
        data=Rows(LABEL["single_label"]),
        spec=spec("single_label"),
        metrics=METRICS["single_label"],
    )
    assert values["baseline/majority/accuracy"] == pytest.approx(0.5)


def test_a_label_without_training_rows_has_probability_zero():
    node = option("baseline", "text_classification").tfidf
    baseline = build(node, expected=Baseline, key="baseline.tfidf")
    data = Rows(LABEL["single_label"])
    baseline.fit(data.rows("train"), replace(spec("single_label"), labels=("bad", "fair", "good", "never")))
    scores = baseline.predict_proba(data.rows("test"))
    assert scores.shape == (10, 4)
    assert np.allclose(scores[:, 3], 0)
    assert np.allclose(scores.sum(axis=1), 1)


def test_memory_is_bounded_by_evenly_spaced_rows():
    node = {**option("baseline", "text_classification").tfidf, "max_rows": 10, "min_count": 1}
    baseline = build(node, expected=Baseline, key="baseline.tfidf")
    baseline.fit(Rows(LABEL["single_label"]).rows("train"), spec("single_label"))
    numbers = sorted(int(word[6:]) for word in baseline.features.vocabulary_ if word.startswith("number"))
    assert numbers == list(range(0, 30, 3))
    assert set(baseline.model.classes_) == {0, 1, 2}


def test_characters_serve_where_words_are_not_spaced():
    texts = {"good": "很好看的电影", "bad": "很难看的电影"}
    rows = [{"text": texts[name], "label": name} for name in ("good", "bad") * 10]
    baseline = build(
        option("baseline", "text_classification_zh").tfidf, expected=Baseline, key="baseline.tfidf"
    )
    baseline.fit(iter(rows), tiny_spec(labels=("bad", "good"), sizes={"train": 20}))
    scores = baseline.predict_proba([{"text": "真好看"}, {"text": "真难看"}])
    assert scores.argmax(axis=1).tolist() == [1, 0]
