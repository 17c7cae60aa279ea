"""Cross-validation: every row that is not for testing is in one validation fold."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.data.columns import CleanRow
from llm_lab.data.settle import Policy, settle
from llm_lab.data.staging import Staging
from llm_lab.errors import ConfigError, DataError
from tests.data.conftest import Make, sentence, table

POLICY = Policy(conflicts="drop", duplicates="drop", leaks="drop", limit=None)


def texts(staged: list[str], split: str, **options: object) -> list[str]:
    with TemporaryDirectory() as folder:
        staging = Staging(folder=Path(folder), **options)
        staging.add(CleanRow(values={"text": text}, label="a", split=None) for text in staged)
        settle(staging, POLICY)
        found = [values["text"] for _, values, _ in staging.rows(split)]
        staging.close()
    return found


@settings(max_examples=30, deadline=None)
@given(
    rows=st.sets(
        st.text("abcde ", min_size=1, max_size=6).map(lambda text: " ".join(text.split())).filter(bool),
        max_size=30,
    ),
    folds=st.integers(2, 6),
    share=st.sampled_from([0.0, 0.2]),
)
def test_every_row_is_validated_once(rows: set[str], folds: int, share: float) -> None:
    shares = {"test": share} if share else {}
    tested = texts(sorted(rows), "test", shares=shares, fold=(0, folds))
    parts = [texts(sorted(rows), "val", shares=shares, fold=(number, folds)) for number in range(folds)]
    trained = [texts(sorted(rows), "train", shares=shares, fold=(number, folds)) for number in range(folds)]
    once = [text for part in parts for text in part]
    assert len(once) == len(set(once))
    assert {*once, *tested} == rows
    for part, rest in zip(parts, trained, strict=True):
        assert not set(part) & set(rest)
        assert len(part) + len(rest) + len(tested) == len(rows)


def test_folds_of_a_data_module(make: Make) -> None:
    rows = [(sentence(number), "ab"[number % 2]) for number in range(200)]
    modules = [make(table(rows), folds=4, fold=number) for number in range(4)]
    sizes = [one.prepare().sizes for one in modules]
    assert len({one.spec.fingerprint for one in modules}) == 4
    assert all(30 <= size["val"] <= 60 for size in sizes)
    assert sum(size["val"] for size in sizes) + sizes[0]["test"] == 200


@pytest.mark.parametrize(("fold", "folds"), [(5, 5), (-1, 5), (0, 1)])
def test_a_fold_that_is_not_there_is_refused(make: Make, fold: int, folds: int) -> None:
    with pytest.raises(ConfigError, match="folds"):
        make(table([("a", "b")]), fold=fold, folds=folds)


def test_a_fold_without_rows_is_refused(make: Make) -> None:
    rows = [(sentence(number), "ab"[number % 2]) for number in range(4)]
    with pytest.raises(
        DataError, match=r"data.folds: of 4 rows none falls to fold \d+, .* 50 folds are too many"
    ):
        for fold in range(50):
            make(table(rows), folds=50, fold=fold, split={}).prepare()
