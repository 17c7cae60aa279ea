"""What tags can be had by looking up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llm_lab.baselines.gazetteer import Gazetteer, MajorityTag
from llm_lab.data.tags import tag_names
from tests.models.tiny import option, tiny_spec

TRAIN = [
    ("New York is not York", "B-LOC I-LOC O O B-LOC"),
    ("Rose met Rose May", "B-PER O B-PER I-PER"),
    ("the rose may bloom in May", "O O O O O O"),
    ("May may come in May", "O O O O O"),
    ("Jordan met May", "B-LOC O B-PER"),
    ("Jordan said so", "B-LOC O O"),
    ("Jordan plays", "B-PER O"),
]


class Data:
    """Rows by split."""

    def __init__(self, **splits: list[tuple[str, str]]) -> None:
        self.splits = splits

    def rows(self, split):
        for text, tags in self.splits[split]:
            yield {"tokens": text.split(), "tags": tags.split()}


def spec(scheme="BIO"):
    return replace(tiny_spec(), problem="tokens", labels=tag_names(["LOC", "PER"], scheme))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("I saw New York", "O O B-LOC I-LOC"),  # the longest
        ("I saw York", "O O B-LOC"),
        ("Rose and Rose May", "B-PER O B-PER I-PER"),
        ("in May", "O O"),  # more often no name
        ("Jordan", "B-LOC"),  # the type it has most often
    ],
)
def test_phrases_of_training_are_found_again(text, tags):
    gazetteer = Gazetteer()
    gazetteer.fit(Data(train=TRAIN).rows("train"))
    assert gazetteer.tag(text.split(), spec()) == tags.split()


def test_it_speaks_the_scheme_of_the_data():
    gazetteer = Gazetteer()
    gazetteer.fit(Data(train=TRAIN).rows("train"))
    assert gazetteer.tag("New York , York".split(), spec("BIOES")) == ["B-LOC", "E-LOC", "O", "S-LOC"]


def test_both_are_measured_as_the_model_is():
    data = Data(train=TRAIN, test=[("York met Bob", "B-LOC O B-PER"), ("Rose", "B-PER")])
    metrics = option("task", "token_classification").metrics
    found = Gazetteer().evaluate(data, spec=spec(), metrics=metrics, split="test")
    assert found == pytest.approx({"f1": 0.8, "precision": 1.0, "recall": 2 / 3, "accuracy": 0.75})
    majority = MajorityTag().evaluate(data, spec=spec(), metrics=metrics, split="test")
    assert majority == pytest.approx({"f1": 0, "precision": 0, "recall": 0, "accuracy": 0.25})
