"""Names, numbers, thresholds, sets and scores as targets."""

from __future__ import annotations

import pytest
import torch

from llm_lab.errors import ConfigError, DataError
from tests.data.conftest import Make, rejected, sentence, table

EVERY = {"split": {}, "max_rejected": 1.0}


def labelled(labels: list[object]) -> str:
    return table((sentence(number), label) for number, label in enumerate(labels))


def names(data) -> list[object]:
    data.prepare()
    return [row["label"] for row in data.rows("train")]


def test_names_as_found_are_sorted(make: Make) -> None:
    data = make(labelled(["b", "a", "c", "a"]), **EVERY)
    assert data.prepare().labels == ("a", "b", "c")
    assert data.spec.class_counts == (2, 1, 1)


def test_numbers_as_found_are_sorted_by_value(make: Make) -> None:
    assert make(labelled([10, 9, 2, 9]), **EVERY).prepare().labels == ("2", "9", "10")


def test_a_list_takes_names_and_their_numbers(make: Make) -> None:
    data = make(labelled([1, "good", 0, "bad", "1.0", "god", 2]), labels=["bad", "good"], **EVERY)
    assert names(data) == ["good", "good", "bad", "bad", "good"]
    assert rejected(data) == [(7, "unknown label"), (8, "unknown label")]
    detail = data.rejected.read_text()
    assert "`god`; did you mean `good`?" in detail


def test_a_mapping_takes_values(make: Make) -> None:
    data = make(labelled([1, 2, 5, 3, 4]), labels={"bad": [1, 2], "good": [4, 5]}, **EVERY)
    assert names(data) == ["bad", "bad", "good", "good"]
    assert rejected(data) == [(5, "unknown label")]


def test_thresholds_drop_what_lies_between(make: Make) -> None:
    rules = {"negative": "<= -0.5", "positive": ">= 0.5", "mixed": "> -0.1, < 0.1"}
    data = make(labelled([-0.5, 0.5, 0.3, 0, 2.5, "-1e0", "many", ""]), labels=rules, **EVERY)
    assert names(data) == ["negative", "positive", "mixed", "positive", "negative"]
    assert data.spec.labels == ("negative", "positive", "mixed")
    assert data.spec.summary["between_thresholds"] == 1
    assert rejected(data) == [(8, "not a number"), (9, "missing label")]


def test_values_and_thresholds_do_not_mix(make: Make) -> None:
    with pytest.raises(ConfigError, match="give every label values"):
        make(labels={"bad": 1, "good": ">= 2"}, source="x.csv")


def test_a_listed_label_that_no_training_row_has(make: Make) -> None:
    spec = make(labelled(["a", "b", "a"]), labels=["a", "b", "c"], **EVERY).prepare()
    assert spec.class_counts == (2, 1, 0)
    assert spec.summary["warnings"] == ["no training row has the label `c`"]


def test_a_label_that_only_the_test_rows_have(make: Make, tmp_path) -> None:
    (tmp_path / "test.csv").write_text(table([("and more", "a"), ("one more", "c")]))
    make(labelled(["a", "b", "a"]), "train.csv")
    source = {split: f"file://{tmp_path}/{split}.csv" for split in ("train", "test")}
    with pytest.raises(
        DataError, match=r"no training row has the label `c` \(test.csv:3\); data.labels lists"
    ):
        make(source=source).prepare()
    spec = make(source=source, labels=["a", "b", "c"]).prepare()
    assert spec.labels == ("a", "b", "c")
    assert spec.summary["warnings"] == ["no training row has the label `c`"]


def test_a_limit_takes_no_label_away(make: Make, tmp_path) -> None:
    (tmp_path / "test.csv").write_text(table([("and more", "a"), ("one more", "c")]))
    make(labelled(["a", "b", "a", "c"]), "train.csv")
    source = {split: f"file://{tmp_path}/{split}.csv" for split in ("train", "test")}
    assert make(source=source, limit=2).prepare().labels == ("a", "b", "c")


def test_one_label_is_nothing_to_learn(make: Make) -> None:
    with pytest.raises(DataError, match="every training row has the label `a`: there is nothing to learn"):
        make(labelled(["a", "a"]), **EVERY).prepare()


def test_several_labels_in_a_cell(make: Make) -> None:
    data = make(labelled(["a;b", "b", "", "c; a"]), problem="multi_label", **EVERY)
    assert names(data) == [["a", "b"], ["b"], [], ["a", "c"]]
    assert data.spec.class_counts == (2, 2, 1)
    batch = next(iter(data.train_dataloader()))
    by_row = dict(zip(batch["index"].tolist(), batch["labels"].tolist(), strict=True))
    assert by_row == {0: [1, 1, 0], 1: [0, 1, 0], 2: [0, 0, 0], 3: [1, 0, 1]}
    assert batch["labels"].dtype == torch.float32
    assert batch["step_targets"].item() == 4


def test_a_column_per_label(make: Make) -> None:
    content = table([("a", 1, 0), ("b", 0, 0), ("c", 1, 1), ("d", "maybe", 1)], header="text,toxic,insult")
    columns = {"label": ["toxic", "insult"]}
    data = make(content, columns=columns, problem="multi_label", **EVERY)
    assert names(data) == [["toxic"], [], ["toxic", "insult"]]
    assert data.spec.labels == ("toxic", "insult")
    assert rejected(data) == [(5, "not a number")]


def test_lists_of_labels_in_json(make: Make) -> None:
    content = '{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": []}\n{"text": "c"}\n'
    data = make(content, "t.jsonl", problem="multi_label", **EVERY)
    assert names(data) == [["x", "y"], []]
    assert rejected(data) == [(3, "missing label")]


def test_a_number_to_predict(make: Make) -> None:
    data = make(labelled([1.5, -2, "high", "nan", "inf", 3]), problem="regression", **EVERY)
    assert names(data) == [1.5, -2.0, 3.0]
    assert data.spec.labels == ("label",)
    assert data.spec.outputs == 1
    assert rejected(data) == [(4, "not a number"), (5, "not a number"), (6, "not a number")]
    batch = next(iter(data.train_dataloader()))
    assert sorted(batch["labels"].tolist()) == [-2.0, 1.5, 3.0]
    assert batch["labels"].dtype == torch.float32


def test_a_regression_takes_no_labels(make: Make) -> None:
    with pytest.raises(ConfigError, match="a regression has no labels"):
        make(source="x.csv", problem="regression", labels=["a"])
