"""Maps of what a model looked at: they add up to the logit, and wrong rows come first."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from llm_lab.callbacks.maps import attributed, chosen
from llm_lab.tracking.maps import Looked, draw

PICTURE = {"kind": "image", "mean": 0.5, "std": [0.5, 0.5, 0.5]}


def test_the_surest_mistakes_come_first_then_right_ones() -> None:
    told = np.array([0.9, 0.6, 0.8, 0.7, 0.95])
    probabilities = np.stack([1 - told, told], axis=1)
    labels = np.array([0, 1, 0, 1, 1])
    assert chosen(probabilities, labels, 4) == [0, 2, 1, 4]
    assert chosen(probabilities, np.ones(5, int), 3) == [0, 2, 4]
    assert chosen(probabilities, np.zeros(5, int), 6) == [4, 0, 2]


def test_a_map_adds_up_to_the_difference_from_the_mean_of_the_data() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3))

    def model(picture: torch.Tensor, other: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=network(picture) + other[:, None])

    inputs = {"other": torch.ones(1), "picture": torch.randn(1, 3, 2, 2)}
    maps = attributed(model, inputs, ["picture"], target=2, steps=50)
    gap = model(**inputs).logits[0, 2] - model(torch.zeros(1, 3, 2, 2), inputs["other"]).logits[0, 2]
    assert maps["picture"].shape == (3, 2, 2)
    assert float(maps["picture"].sum()) == pytest.approx(float(gap), abs=1e-3)


@pytest.mark.parametrize(
    ("facts", "shape"),
    [(PICTURE, (3, 9, 8)), ({"kind": "audio"}, (20, 8)), ({"kind": "audio"}, (300,))],
    ids=["picture", "spectrogram", "wave"],
)
def test_every_kind_is_drawn_and_names_are_text(facts: dict[str, object], shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    values = {"x": rng.normal(size=shape), "x_mask": np.arange(shape[0]) < shape[0] - 2}
    values = values if facts["kind"] == "audio" else {"x": values["x"]}
    row = Looked(told="<b>", sure=0.75, actual="cat", values=values, maps={"x": rng.normal(size=shape)})
    svg = draw("x", facts, [row])
    assert svg.startswith("<svg") and "&lt;b&gt;, is cat" in svg and "75% sure" in svg and "<b>" not in svg
