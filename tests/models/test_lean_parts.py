"""Hand-written backward passes against finite differences; dropout's bits against their distribution."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llm_lab.models.lean_attention import Attention, SelfAttention, first_token_attention
from llm_lab.models.lean_dropout import Rate, draw_lanes, dropout, dropout_forward
from llm_lab.models.lean_memory import keep_freed_memory
from llm_lab.models.lean_tail import Settings, Tail


def doubles(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_attention_backward_is_the_derivative(p: float) -> None:
    projections = doubles((2, 3, 4), *[(4, 4), (4,)] * 3)
    bias = torch.zeros(2, 1, 3, 3, dtype=torch.float64)
    bias[1, :, :, 2] = -1e9
    fixed = Attention(2, Rate(p), torch.float64)

    def run(states: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(5)
        return SelfAttention.apply(fixed, states, bias, *parameters)

    assert torch.autograd.gradcheck(run, projections)


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_tail_backward_is_the_derivative(p: float) -> None:
    inputs = doubles((3, 4), (3, 4), (4, 4), (4,), (4,), (4,), (6, 4), (6,), (4, 6), (4,), (4,), (4,))
    fixed = Settings((Rate(p), Rate(p / 2)), (1e-6, 1e-6), torch.float64)

    def run(*tensors: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(5)
        return Tail.apply(fixed, *tensors)

    assert torch.autograd.gradcheck(run, inputs)


def test_first_token_attention_is_the_first_row_of_all() -> None:
    states, *projections = doubles((2, 5, 6), *[(6, 6), (6,)] * 3)
    bias = torch.zeros(2, 1, 5, 5, dtype=torch.float64)
    bias[1, :, :, 3:] = -1e9
    every = SelfAttention.apply(Attention(3, Rate(0.0), torch.float64), states, bias, *projections)
    first = first_token_attention(states, bias, projections, heads=3, p=0.0)
    torch.testing.assert_close(first, every[:, 0])


@settings(max_examples=25, deadline=None)
@given(p=st.floats(0.001, 0.99), seed=st.integers(0, 2**31))
def test_dropout_drops_its_share_and_keeps_the_mean(p: float, seed: int) -> None:
    torch.manual_seed(seed)
    count = 40_000
    dropped = dropout(torch.ones(count), p)
    share = float((dropped == 0).double().mean())
    assert abs(share - p) < 6 * (p * (1 - p) / count) ** 0.5 + 2**-16
    kept = dropped[dropped != 0]
    assert torch.all(kept == kept[0])
    assert float(kept[0]) == pytest.approx(1 / (1 - p), rel=2**-16 / (1 - p))


def test_lanes_are_uniform_and_independent() -> None:
    torch.manual_seed(0)
    lanes = draw_lanes(400_000).view(-1, 4).double()
    assert abs(lanes.mean()) < 200
    assert lanes.std() == pytest.approx(65536 / 12**0.5, rel=0.01)
    off = torch.corrcoef(lanes.t()) - torch.eye(4, dtype=torch.float64)
    assert off.abs().max() < 0.02


def test_dropout_gradient_uses_the_same_mask() -> None:
    values = torch.ones(1000, requires_grad=True)
    dropped = dropout(values, 0.5)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


def test_dropout_module_off_and_at_its_ends() -> None:
    values = torch.ones(100)
    assert dropout_forward(nn.Dropout(0.5).eval(), values) is values
    assert dropout_forward(nn.Dropout(0.0), values) is values
    assert torch.equal(dropout_forward(nn.Dropout(1.0), values), torch.zeros(100))


def test_the_users_allocator_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    assert keep_freed_memory.__wrapped__() is False
