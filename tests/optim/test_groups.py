"""Which parameters decay, and how fast each layer learns."""

from __future__ import annotations

import pytest
from torch import nn
from transformers import PreTrainedModel

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.models.structure import layer_stack, parameter_depths
from llm_lab.optim.groups import all_groups
from tests.models.tiny import tiny_model, tiny_spec

MODERN = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8}


def make(**changes) -> PreTrainedModel:
    return build(tiny_model(**changes), expected=PreTrainedModel, key="model", spec=tiny_spec())


def by_name(model: nn.Module, **settings: float) -> dict[str, dict]:
    """The group of each parameter."""
    settings = {"lr": 1.0, "weight_decay": 0.1, "layer_decay": 1.0} | settings
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = all_groups(model, **settings)
    return {names[id(parameter)]: group for group in groups for parameter in group["params"]}


def test_biases_and_norms_do_not_decay():
    groups = by_name(make())
    for name, group in groups.items():
        spared = "bias" in name or "LayerNorm" in name
        assert group["weight_decay"] == (0.0 if spared else 0.1), name


def test_every_parameter_is_in_one_group():
    model = make()
    groups = all_groups(model, lr=1.0, weight_decay=0.1, layer_decay=0.5)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize(
    "changes", [{}, {"pooling": "mean"}, {"architecture": "modernbert", "sizes": MODERN}]
)
def test_each_layer_learns_slower_than_the_one_above_it(changes):
    rates = {name: group["lr"] for name, group in by_name(make(**changes), layer_decay=0.5).items()}
    of = lambda text: {rate for name, rate in rates.items() if text in name}  # noqa: E731
    assert of("classifier") == {1.0}
    assert of("layer.1.") | of("layers.1.") == {0.5}
    assert of("layer.0.") | of("layers.0.") == {0.25}
    assert of("embeddings.") == {0.125}


def test_without_layer_decay_there_are_two_groups():
    assert len(all_groups(make(), lr=1.0, weight_decay=0.1, layer_decay=1.0)) == 2


def test_frozen_parameters_are_left_out():
    assert not [
        name for name in by_name(make(freeze="backbone")) if "encoder" in name or "embeddings" in name
    ]


def test_nothing_to_train_is_an_error():
    with pytest.raises(ConfigError, match=r"model.freeze: every parameter is frozen"):
        by_name(make().requires_grad_(requires_grad=False))


@pytest.mark.parametrize("factor", [0.0, 1.5, -1.0])
def test_layer_decay_out_of_range_is_named(factor):
    with pytest.raises(ConfigError, match=r"optimizer.layer_decay"):
        by_name(make(), layer_decay=factor)


def test_a_model_without_a_stack_is_all_head():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert layer_stack(model)[0] == ""
    assert set(parameter_depths(model).values()) == {1}
    assert {group["lr"] for group in by_name(model, layer_decay=0.5).values()} == {1.0}
