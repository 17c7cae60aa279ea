"""Exact match and F1 as the challenges count them."""

from __future__ import annotations

import pytest
import torch

from llm_lab.tasks.squad_metrics import F1, ExactMatch, answer_metrics, exact_match, overlap


@pytest.mark.parametrize(
    ("given", "wanted", "exact", "f1"),
    [
        ("The Broncos!", "broncos", 1, 1),
        ("an apple tree", "apple", 0, 2 / 3),
        ("gold and gold", "gold gold", 0, 4 / 5),
        ("", "", 1, 1),
        ("the", "", 1, 1),
        ("Rome", "", 0, 0),
    ],
)
def test_squad(given: str, wanted: str, exact: float, f1: float) -> None:
    assert exact_match(given, wanted, "squad") == exact
    assert overlap(given, wanted, "squad") == pytest.approx(f1)


@pytest.mark.parametrize(
    ("given", "wanted", "exact", "f1"),
    [
        ("《战国无双》", "战国无双", 1, 1),
        ("光荣和ω-force", "光荣", 0, 2 * 2 / (4 + 2)),
        ("AB中文", "ab 中文", 0, 1),  # segments are the same, letters are not
        ("一二三四", "一二五三四", 0, 2 * 2 / 9),  # the longest run, not all that is common
        ("2010年", "2009年", 0, 0.5),
        ("", "中", 0, 0),
    ],
)
def test_cmrc(given: str, wanted: str, exact: float, f1: float) -> None:
    assert exact_match(given, wanted, "cmrc2018") == exact
    assert overlap(given, wanted, "cmrc2018") == pytest.approx(f1)


def add(metric: ExactMatch | F1, rows: list[tuple[int, float, float, str, list[str]]]) -> None:
    question, score, null, texts, answers = zip(*rows, strict=True)
    metric.update(torch.tensor(question), torch.tensor(score), torch.tensor(null), texts, answers)


def test_the_best_window_answers_whatever_the_order_and_the_batches() -> None:
    rows = [
        (0, 1.0, -9.0, "wrong", ["right"]),
        (1, 0.0, 3.0, "said too much", []),  # no answer is likelier in every window
        (0, 2.0, 5.0, "right", ["right"]),
        (1, 1.0, 2.0, "said too much", []),
        (2, 1.0, 2.0, "kept back", ["kept back"]),
    ]
    whole, parts = ExactMatch(), ExactMatch()
    add(whole, rows)
    for row in reversed(rows):
        add(parts, [row])
    assert whole.compute() == parts.compute() == pytest.approx(2 / 3)


def test_metrics_that_begin_equal_stay_apart() -> None:
    target = "llm_lab.tasks.squad_metrics"
    both = answer_metrics({name: {"_target_": f"{target}.{name}"} for name in ("ExactMatch", "F1")})
    none = torch.full((1,), -torch.inf)
    both.update(torch.tensor([0]), torch.zeros(1), none, ["left"], [["right"]])
    both.update(torch.tensor([1]), torch.zeros(1), none, ["far right"], [["right"]])
    assert both.compute() == {"ExactMatch": 0, "F1": pytest.approx(1 / 3)}
