"""Every optimizer steps, is restored, and is what torch calls by its name."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.optim import AdamW, Optimizer
from transformers import PreTrainedModel

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.optim.orthogonal import Muon
from tests.models.tiny import option, options, tiny_batch, tiny_model, tiny_spec


def make_model(**changes) -> PreTrainedModel:
    torch.manual_seed(0)
    return build(tiny_model(**changes), expected=PreTrainedModel, key="model", spec=tiny_spec())


def make(name: str, model: torch.nn.Module, **changes) -> Optimizer:
    return build({**option("optimizer", name), **changes}, expected=Optimizer, key="optimizer", model=model)


def step(model: PreTrainedModel, optimizer: Optimizer, seed: int = 0) -> float:
    batch = tiny_batch(8, seed=seed)
    outputs = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")})
    optimizer.zero_grad()
    outputs.loss.backward()
    optimizer.step()
    return float(outputs.loss)


@pytest.mark.parametrize("name", options("optimizer"))
def test_every_shipped_optimizer_lowers_the_loss(name):
    model = make_model()
    optimizer = make(name, model, lr=1e-2)
    losses = [step(model, optimizer) for _ in range(15)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", options("optimizer"))
def test_a_restored_optimizer_goes_on_bit_for_bit(name, tmp_path):
    model = make_model()
    optimizer = make(name, model, lr=1e-2, layer_decay=0.8)
    for seed in range(3):
        step(model, optimizer, seed)
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    twin = copy.deepcopy(model)
    restored = make(name, twin, lr=1e-2, layer_decay=0.8)
    restored.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    for seed in range(3, 6):
        step(model, optimizer, seed)
        step(twin, restored, seed)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_adamw_is_fused_by_default():
    assert all(group["fused"] for group in make("adamw", make_model()).param_groups)


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest():
    model, settings = make_model(), {"lr": 1e-2, "weight_decay": 0.1}
    twin = copy.deepcopy(model)
    ours = make("muon", model, **settings)
    hidden = [p for name, p in twin.named_parameters() if "encoder.layer" in name and p.ndim == 2]
    others = [(name, p) for name, p in twin.named_parameters() if "encoder.layer" not in name or p.ndim != 2]
    matrices = [p for _, p in others if p.ndim > 1]
    vectors = {"params": [p for _, p in others if p.ndim == 1], "weight_decay": 0.0}
    theirs = [
        Muon(hidden, momentum=0.95, adjust_lr_fn="match_rms_adamw", **settings),
        AdamW([{"params": matrices}, vectors], fused=True, **settings),
    ]
    for seed in range(2):
        step(model, ours, seed)
        batch = tiny_batch(8, seed=seed)
        for optimizer in theirs:
            optimizer.zero_grad()
        twin(**{name: batch[name] for name in ("input_ids", "attention_mask", "labels")}).loss.backward()
        for optimizer in theirs:
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_a_schedule_moves_both_parts_of_muon():
    optimizer = make("muon", make_model(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    optimizer.step()
    schedule.step()
    assert {group["lr"] for part in optimizer.parts for group in part.param_groups} == {0.5}


def test_muon_without_matrices_is_refused():
    with pytest.raises(ConfigError, match=r"optimizer: muon needs .* take adamw instead"):
        make("muon", make_model(freeze="backbone"))


def test_muon_closure_runs_once():
    model, calls = make_model(), []
    optimizer = make("muon", model)

    def closure() -> float:
        calls.append(torch.is_grad_enabled())
        return 3.0

    assert optimizer.step(closure) == 3.0
    assert calls == [True]
