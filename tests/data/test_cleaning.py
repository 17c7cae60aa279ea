"""Rows that should not be there: rejected, doubled, contradicting, leaking, too many."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_lab.errors import DataError
from tests.data.conftest import Make, rejected, sentence, table


def two(make: Make, tmp_path: Path, train: list[tuple[str, str]], test: list[tuple[str, str]], **options):
    (tmp_path / "train.csv").write_text(table(train))
    (tmp_path / "test.csv").write_text(table(test))
    return make(source={name: f"file://{tmp_path}/{name}.csv" for name in ("train", "test")}, **options)


def kept(data, split: str = "train") -> list[str]:
    data.prepare()
    return [row["text"] for row in data.rows(split)]


def test_the_list_of_rejected_rows(make: Make) -> None:
    rows = [(sentence(number), "ab"[number % 2]) for number in range(40)]
    data = make(table([*rows, ("", "a"), ("text", "")]))
    assert rejected(data) == [(42, "empty text"), (43, "missing label")]
    assert json.loads(data.rejected.read_text().splitlines()[0])["file"] == "table.csv"
    assert data.spec.summary["rejected"] == {"total": 2, "empty text": 1, "missing label": 1}
    assert data.spec.summary["rows"] == 42


def test_no_list_where_all_rows_are_good(make: Make) -> None:
    data = make(table((sentence(number), "ab"[number % 2]) for number in range(10)))
    data.prepare()
    assert data.rejected is None


def test_too_many_rejected_rows_stop_the_run(make: Make) -> None:
    rows = [("good text", "a"), ("", "b"), ("other", "b"), ("", "a"), ("more", "")]
    with pytest.raises(DataError) as caught:
        make(table(rows), max_rejected=0.5).prepare()
    message = str(caught.value)
    assert message.startswith("3 of 5 rows rejected (60.0%), data.max_rejected allows 50.0%: 2 empty text")
    assert "2 empty text (first table.csv:3)" in message
    assert "1 missing label (first table.csv:6)" in message
    listed = Path(message.rpartition("The list: ")[2]).read_text().splitlines()
    assert [json.loads(line)["line"] for line in listed] == [3, 5, 6]


def test_the_threshold_itself_is_allowed(make: Make) -> None:
    rows = [("good text", "a"), ("", "b"), ("other", "b"), ("more", "")]
    data = make(table(rows), max_rejected=0.5, split={})
    assert kept(data) == ["good text", "other"]


def test_duplicates_keep_the_first(make: Make) -> None:
    rows = [("one", "a"), ("two", "b"), ("one", "a"), (" one ", "a"), ("One", "a")]
    data = make(table(rows), split={})
    assert kept(data) == ["one", "two", "One"]
    assert data.spec.summary["duplicates"] == {"train": 2}
    assert len(kept(make(table(rows), split={}, duplicates="keep"))) == 5


def test_contradicting_labels_drop_the_text(make: Make) -> None:
    rows = [("one", "a"), ("two", "b"), ("one", "b"), ("three", "a"), ("one", "a")]
    data = make(table(rows), split={})
    assert kept(data) == ["two", "three"]
    assert data.spec.summary["conflicts"] == {"train": 3}
    assert data.spec.summary["conflicting_texts"] == 1
    kept_all = make(table(rows), split={}, conflicts="keep")
    assert kept(kept_all) == ["one", "two", "one", "three"]
    assert kept_all.spec.summary["conflicts"] == {"train": 3}


def test_different_scores_for_a_text_stay(make: Make) -> None:
    rows = [("one", 1), ("one", 2), ("one", 1)]
    data = make(table(rows), split={}, problem="regression")
    assert [row["label"] for row in data.rows("train")] == [1.0, 2.0]


def test_leaks_leave_the_training_split(make: Make, tmp_path: Path) -> None:
    train = [("one", "a"), ("Two  words", "b"), ("three", "a"), ("four", "b")]
    test = [("two words", "b"), ("five", "a")]
    data = two(make, tmp_path, train, test)
    assert kept(data) == ["one", "three", "four"]
    assert kept(data, "test") == ["two words", "five"]
    assert data.spec.summary["leaks"] == {"train in test": 1}
    assert len(kept(two(make, tmp_path, train, test, leaks="keep"))) == 4
    with pytest.raises(DataError, match="splits leak: 1 rows of train in test"):
        two(make, tmp_path, train, test, leaks="error").prepare()


def test_leaks_between_three_splits(make: Make) -> None:
    rows = [("one", "a", "train"), ("two", "b", "train"), ("three", "a", "train"), ("four", "b", "train")]
    rows += [("one", "a", "dev"), ("five", "b", "dev"), ("one", "a", "test"), ("five", "b", "test")]
    rows += [("six", "a", "validation"), ("seven", "b", "nowhere")]
    data = make(table(rows, "text,label,part"), columns={"split": "part"}, max_rejected=0.5)
    assert data.prepare().summary["leaks"] == {"train in val": 1, "train in test": 1, "val in test": 2}
    assert data.spec.sizes == {"train": 3, "val": 1, "test": 2}
    assert rejected(data) == [(11, "unknown split")]


def test_the_limit_keeps_every_label_it_can(make: Make) -> None:
    rows = [(sentence(number), "rare" if number % 50 == 0 else "common") for number in range(400)]
    spec = make(table(rows), limit=10).prepare()
    assert spec.sizes == {"train": 10, "val": 10, "test": 10}
    assert spec.class_counts == (9, 1)


def test_the_limit_keeps_proportions(make: Make) -> None:
    rows = [(sentence(number), "abbb"[number % 4]) for number in range(400)]
    spec = make(table(rows), limit=40, split={}).prepare()
    assert spec.class_counts == (10, 30)


def test_a_limit_that_takes_nothing_away(make: Make) -> None:
    rows = [(sentence(number), "ab"[number % 2]) for number in range(40)]
    assert make(table(rows), limit=100, split={}).prepare().sizes == {"train": 40}
