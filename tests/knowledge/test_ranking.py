"""Ranks are what sorting by hand gives, ties and filter included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.errors import DataError
from llm_lab.knowledge.ranking import Answers, Queries, filtered_ranks
from llm_lab.knowledge.triples import Triples, read_triples, write_triples
from tests.knowledge.toy import toy_triples


def by_hand(scores: list[float], target: int, known: set[int]) -> tuple[int, int]:
    rivals = [score for number, score in enumerate(scores) if number != target and number not in known]
    above = sum(score > scores[target] for score in rivals)
    level = sum(score == scores[target] for score in rivals)
    return above + 1, above + level + 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ranks_are_those_of_counting_by_hand(data: st.DataObject) -> None:
    entities = data.draw(st.integers(2, 7))
    ids = st.tuples(st.integers(0, entities - 1), st.integers(0, 1), st.integers(0, entities - 1))
    triples = data.draw(st.lists(ids, min_size=1, max_size=20))
    answers = Answers(triples=np.array(triples, np.int32), relations=2)
    asked = Queries.of(torch.tensor(triples), 2)
    cell = st.integers(0, 3).map(float)
    rows = st.lists(cell, min_size=entities, max_size=entities)
    scores = data.draw(st.lists(rows, min_size=len(asked.sources), max_size=len(asked.sources)))
    ranks = filtered_ranks(
        torch.tensor(scores), asked.targets, answers.cells(asked.sources, asked.relations)
    )
    for number, (source, relation, target) in enumerate(zip(*(one.tolist() for one in asked), strict=True)):
        known = {t if relation < 2 else h for h, r, t in triples
                 if (h if relation < 2 else t) == source and r == relation % 2}  # fmt: skip
        expected = by_hand(scores[number], target, known - {target})
        assert (int(ranks.optimistic[number]), int(ranks.pessimistic[number])) == expected
        assert float(ranks.realistic[number]) == sum(expected) / 2


def test_the_same_score_for_all_is_the_middle_not_the_first() -> None:
    ranks = filtered_ranks(torch.zeros(1, 9), torch.tensor([4]), (torch.empty(0).long(), torch.empty(0).long()))
    assert (int(ranks.optimistic), int(ranks.pessimistic), float(ranks.realistic)) == (1, 9, 5.0)


def test_what_is_no_number_is_never_right() -> None:
    known = (torch.tensor([0]), torch.tensor([2]))
    ranks = filtered_ranks(torch.full((1, 5), torch.nan), torch.tensor([4]), known)
    assert (int(ranks.optimistic), int(ranks.pessimistic)) == (4, 4)


def test_a_query_that_nothing_answers_has_no_cells() -> None:
    answers = Answers(triples=np.array([[0, 0, 1]], np.int32), relations=1)
    rows, columns = answers.cells(torch.tensor([0, 1, 1, 5]), torch.tensor([0, 0, 1, 1]))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (2, 0)]


def test_triples_are_read_as_they_were_written(tmp_path: Path) -> None:
    triples = toy_triples()
    write_triples(tmp_path, triples)
    again = read_triples(tmp_path)
    assert (again.entities, again.relations, again.labels) == (triples.entities, triples.relations, triples.labels)
    assert all(np.array_equal(again.splits[split], ids) for split, ids in triples.splits.items())
    assert isinstance(again.splits["train"], np.memmap)


def test_a_folder_without_triples_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no triples: there is no entities\.txt"):
        read_triples(tmp_path)


def test_an_identifier_of_two_lines_is_refused(tmp_path: Path) -> None:
    broken = Triples(entities=("a\nb",), relations=("r",), splits={})
    with pytest.raises(DataError, match=r"entities\.txt: the identifier 'a\\nb' has a line break"):
        write_triples(tmp_path, broken)


def test_unseen_entities_are_those_of_no_training_triple() -> None:
    ids = {"train": np.array([[0, 0, 1]], np.int32), "test": np.array([[1, 0, 2], [3, 0, 0]], np.int32)}
    assert Triples(entities=("a", "b", "c", "d"), relations=("r",), splits=ids).unseen("test").tolist() == [2, 3]
