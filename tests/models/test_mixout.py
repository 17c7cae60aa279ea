"""Mixout keeps the expected weight, names and the model itself."""

from __future__ import annotations

import copy

import pytest
import torch

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.models.mixout import Mixout
from tests.models.tiny import tiny_batch, tiny_model, tiny_spec


def mixed(rate: float):
    torch.manual_seed(0)
    model = build(tiny_model(), expected=torch.nn.Module, key="model", spec=tiny_spec())
    names = list(dict(model.named_parameters()))
    wrapped = Mixout(rate=rate)(model)
    assert list(dict(wrapped.named_parameters())) == names
    return wrapped


def logits(model):
    batch = tiny_batch(4)
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits


def test_the_pretrained_model_stays_as_it_is():
    model = mixed(0.7)
    assert torch.allclose(logits(model.train()), logits(model.eval()), atol=1e-6)


def test_a_weight_is_the_pretrained_one_or_further_away():
    layer = mixed(0.25).bert.encoder.layer[0].intermediate.dense.train()
    pretrained = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.add_(1.0)
    eye = torch.eye(8)
    passes = torch.stack([(layer(eye) - layer.bias).T.detach() - pretrained for _ in range(2000)])
    assert {round(float(one), 3) for one in passes[0].flatten()} == {0.0, round(1 / 0.75, 3)}
    assert passes.mean() == pytest.approx(1.0, abs=0.01)


def test_merging_leaves_the_plain_model():
    model = mixed(0.9).eval()
    plain = Mixout(rate=0.9).merge(copy.deepcopy(model))
    assert torch.equal(logits(plain), logits(model))
    assert not [name for name in plain.state_dict() if "mixout" in name]
    assert [name for name in model.state_dict() if "mixout" in name]
    with pytest.raises(ConfigError, match="below 1"):
        Mixout(rate=1.0)
