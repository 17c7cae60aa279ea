"""Matrices of one shape together are the same as one by one, and as torch has them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import Muon as TorchMuon

from llm_lab.optim.orthogonal import Muon, compute_type, orthogonalize

SETTINGS = {"coefficients": (3.4445, -4.7750, 2.0315), "steps": 5, "eps": 1e-7}


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 24), columns=st.integers(1, 24), count=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_stack_is_what_its_matrices_are(rows, columns, count, seed):
    stack = torch.randn(count, rows, columns, generator=torch.Generator().manual_seed(seed))
    together = orthogonalize(stack, torch.float64, **SETTINGS)
    alone = torch.stack([orthogonalize(one, torch.float64, **SETTINGS) for one in stack])
    torch.testing.assert_close(together, alone)
    assert together.shape == stack.shape


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (32, 32)])
def test_singular_values_come_near_one(shape):
    found = orthogonalize(
        torch.randn(*shape, generator=torch.Generator().manual_seed(0)), torch.float32, **SETTINGS
    )
    values = torch.linalg.svdvals(found)
    assert float(values.max()) < 1.3
    assert float(values.median()) > 0.6


@pytest.mark.parametrize("rule", ["original", "match_rms_adamw"])
def test_steps_are_those_of_torch(rule):
    shapes = [(8, 24), (8, 24), (24, 8), (8, 8)]
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(shape, generator=generator) for shape in shapes]
    grads = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(3)]
    found = []
    for optimizer in (Muon, TorchMuon):
        parameters = [torch.nn.Parameter(start.clone()) for start in starts]
        one = optimizer(parameters, lr=0.1, weight_decay=0.1, momentum=0.9, adjust_lr_fn=rule)
        for step in grads:
            for parameter, grad in zip(parameters, step, strict=True):
                parameter.grad = grad.clone()
            one.step()
        found.append(parameters)
    torch.testing.assert_close(
        *found, rtol=0, atol=0.02
    )  # torch rounds to bfloat16: a hundredth of a step of 0.5


def test_the_type_follows_the_processor(monkeypatch):
    for has, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("llm_lab.optim.orthogonal.cpu_has_bf16", lambda has=has: has)
        assert compute_type(torch.zeros(2, 2)) == wanted


def test_a_matrix_without_gradient_is_left_alone():
    idle = torch.nn.Parameter(torch.ones(2, 3))
    busy = torch.nn.Parameter(torch.ones(2, 3))
    busy.grad = torch.ones(2, 3)
    optimizer = Muon([idle, busy], lr=0.1)
    optimizer.step()
    assert torch.equal(idle, torch.ones(2, 3))
    assert not torch.equal(busy, torch.ones(2, 3))
