"""The multimodal benchmark: its loss is CLIP's, and its tables set each figure beside the right one."""

from __future__ import annotations

import math

import pytest
import torch

from llm_lab.bench.multimodal import contrastive, frozen
from llm_lab.bench.multimodal_job import clip_loss


def test_the_loss_is_that_of_both_ways() -> None:
    vectors = torch.eye(4)
    assert float(clip_loss(vectors, vectors, torch.tensor(0.0))) == pytest.approx(math.log(4))
    assert float(clip_loss(vectors, vectors, torch.tensor(100.0))) == pytest.approx(0, abs=1e-6)


def test_figures_stand_beside_what_they_are_measured_against() -> None:
    rounds = {"bare": [100.0, 50], "ours": [200.0, 100], "loader": [1000.0, 500], "reading": [30.0, 40]}
    bare, ours, loader, reading = contrastive(rounds)
    assert bare[1:] == ["75", "", ""]
    assert ours[1:] == ["150", "2.00 of the bare loop", "1.5"]
    assert loader[2] == "5.0 of ours"
    assert reading[1:] == ["35", "done once, in none of the others", ""]
    assert frozen([10.0, 2.0]) == [["epoch 1", "10.00", "1.0", ""], ["epoch 2", "2.00", "5.0", "5"]]
