"""Lean blocks of GPT-2 and the fused loss give the plain model's outputs and gradients, or step aside."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import GPT2Config, GPT2LMHeadModel

from llm_lab.models import lean_decoder
from llm_lab.models.lean import Lean
from llm_lab.models.linear_cross_entropy import headless, linear_cross_entropy, token_losses

LENGTH = 150  # more than one block of queries


def pair(**fields: Any) -> tuple[Any, Any]:
    sizes = {"n_embd": 24, "n_layer": 2, "n_head": 3, "vocab_size": 61, "n_positions": LENGTH}
    off = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(0)
    plain = GPT2LMHeadModel(GPT2Config(**(sizes | off | fields)))
    for parameter in plain.parameters():  # as wild as trained weights, so that no term hides
        nn.init.normal_(parameter, std=0.2)
    return plain.train(), Lean()(copy.deepcopy(plain).train())


def tokens() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    ids, labels = torch.randint(0, 61, (2, 3, LENGTH))
    labels[0, 5:20] = -100
    return ids, labels


def documents() -> dict[str, Tensor]:
    """Three documents in each block, as a mask and positions that restart."""
    segments = torch.arange(LENGTH).expand(3, -1) // torch.tensor([[31], [50], [100]])
    places = torch.arange(LENGTH) % torch.tensor([[31], [50], [100]])
    mask = (segments[:, None, :, None] == segments[:, None, None, :]).tril()
    return {"attention_mask": mask, "position_ids": places}


def losses(model: Any, *, fused: bool, **inputs: Tensor) -> Tensor:
    ids, labels = tokens()
    if fused:
        with headless(model) as head:
            states = model(ids, use_cache=False, **inputs).logits
        return token_losses(head, states, labels)
    logits = model(ids, use_cache=False, **inputs).logits.float()
    return F.cross_entropy(logits[labels != -100], labels[labels != -100], reduction="none")


def spoil_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove that the lean pass is the one that runs."""

    def never(*_: Any) -> None:
        raise AssertionError("the lean pass was taken")

    monkeypatch.setattr(lean_decoder.Block, "apply", never)


@pytest.mark.parametrize("activation", ["gelu_new", "gelu"])
@pytest.mark.parametrize("masked", [False, True])
def test_same_losses_and_gradients(*, masked: bool, activation: str) -> None:
    plain, lean = pair(activation_function=activation)
    inputs = documents() if masked else {}
    weights = torch.linspace(0.1, 2, 435)  # every target has a gradient of its own
    for model, fused in ((plain, False), (lean, True)):
        (losses(model, fused=fused, **inputs) * weights).sum().backward()
    torch.testing.assert_close(losses(lean, fused=True, **inputs), losses(plain, fused=False, **inputs))
    for (name, one), other in zip(plain.named_parameters(), lean.parameters(), strict=True):
        error = (one.grad - other.grad).norm() / one.grad.norm()
        assert error < 1e-5, name


@pytest.mark.parametrize("masked", [False, True])
def test_bfloat16_is_as_near_to_single_precision_as_the_plain_path(*, masked: bool) -> None:
    plain, lean = pair()
    inputs = documents() if masked else {}
    losses(plain, fused=False, **inputs).sum().backward()
    exact = torch.cat([parameter.grad.flatten() for parameter in plain.parameters()])
    errors = []
    for model, fused in ((plain, False), (lean, True)):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = losses(model, fused=fused, **inputs)
        loss.sum().backward()
        grads = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
        errors.append(float((grads - exact).norm() / exact.norm()))
    assert errors[1] < max(1.2 * errors[0], 0.02)


def test_padding_mask_and_gradient_checkpointing() -> None:
    plain, lean = pair()
    mask = torch.ones(3, LENGTH, dtype=torch.long)
    mask[1, 100:] = 0
    lean.gradient_checkpointing_enable()
    seen = mask.bool() & (tokens()[1] != -100)
    kept = seen[tokens()[1] != -100]
    ours, theirs = (
        losses(model, fused=fused, attention_mask=mask)[kept]
        for model, fused in ((lean, True), (plain, False))
    )
    torch.testing.assert_close(ours, theirs)
    ours.sum().backward()
    theirs.sum().backward()
    torch.testing.assert_close(
        lean.transformer.wpe.weight.grad, plain.transformer.wpe.weight.grad, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("case", ["dropout", "cache", "hook", "prefix mask"])
def test_steps_aside(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, lean = pair(attn_pdrop=0.1 if case == "dropout" else 0.0)
    if case == "hook":
        lean.transformer.h[0].attn.c_attn.register_forward_hook(lambda *_: None)
        lean.transformer.h[1].mlp.register_forward_hook(lambda *_: None)
    extra = (
        {"attention_mask": torch.ones(3, 1, LENGTH, LENGTH, dtype=torch.bool)}
        if case == "prefix mask"
        else {}
    )
    spoil_plain(monkeypatch)
    assert lean(tokens()[0], use_cache=case == "cache", **extra).logits.isfinite().all()


def test_lean_pass_is_taken_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _, lean = pair()
    spoil_plain(monkeypatch)
    with pytest.raises(AssertionError, match="lean pass"):
        lean(tokens()[0], use_cache=False)
    assert Lean().merge(lean)(tokens()[0], use_cache=False).logits.isfinite().all()


@pytest.mark.parametrize("biased", [False, True])
def test_fused_loss_in_double_precision(*, biased: bool) -> None:
    torch.manual_seed(0)
    states, weight = (
        torch.randn(2, 4, 5).double().requires_grad_(),
        torch.randn(7, 5).double().requires_grad_(),
    )
    bias = torch.randn(7).double().requires_grad_() if biased else None
    labels = torch.randint(0, 7, (2, 4))
    labels[1, 2] = -100

    def fused(*tensors: Tensor) -> Tensor:
        return linear_cross_entropy(tensors[0], tensors[1], tensors[2] if biased else None, labels)

    given = (states, weight) if bias is None else (states, weight, bias)
    assert torch.autograd.gradcheck(fused, given)
    assert fused(*given).shape == (7,)


def test_headless_restores_the_head() -> None:
    plain, _ = pair()
    with headless(plain):
        assert plain(tokens()[0]).logits.shape[-1] == 24
    assert plain(tokens()[0]).logits.shape[-1] == 61
