"""Lean gives the plain model's outputs and gradients, and steps aside where it cannot."""

from __future__ import annotations

import copy
import inspect
import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    CamembertConfig,
    DistilBertConfig,
    ElectraConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from llm_lab.models.lean import Lean
from llm_lab.models.lean_layer import layer_forward
from llm_lab.tracking.flops import count

SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "vocab_size": 60,
    "max_position_embeddings": 32,
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
FAMILIES = (BertConfig, RobertaConfig, XLMRobertaConfig, CamembertConfig, ElectraConfig)


def classifier(kind: type = BertConfig, **fields: object) -> nn.Module:
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(kind(**SIZES | NO_DROPOUT | fields))
    for parameter in model.parameters():  # as wild as trained weights, so that no term hides
        nn.init.normal_(parameter, std=0.3)
    return model.train()


def pair(kind: type = BertConfig, **fields: object) -> tuple[nn.Module, nn.Module]:
    plain = classifier(kind, **fields)
    return plain, Lean()(copy.deepcopy(plain))


def batch(*, padded: bool) -> dict[str, Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(5, 60, (4, 9))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 5:], mask[3, 2:] = 0, 0
        ids = ids.masked_fill(mask == 0, 1)
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 1, 0])}


def gradients(model: nn.Module, **inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    output = model(**inputs)
    output.loss.backward()
    return output.logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}


def assert_same(
    plain: nn.Module, lean: nn.Module, inputs: dict[str, Tensor], tolerance: float = 1e-5
) -> None:
    expected, expected_grads = gradients(plain, **inputs)
    logits, grads = gradients(lean, **inputs)
    torch.testing.assert_close(logits, expected, atol=tolerance, rtol=tolerance)
    assert grads.keys() == expected_grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(grad, expected_grads[name], atol=tolerance, rtol=tolerance, msg=name)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", FAMILIES)
def test_outputs_and_gradients_of_every_family(kind: type, *, padded: bool) -> None:
    assert_same(*pair(kind), batch(padded=padded))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_both_attention_implementations(attention: str) -> None:
    assert_same(*pair(attn_implementation=attention), batch(padded=True))


def test_bf16_mixed_stays_within_its_precision() -> None:
    plain, lean = pair()
    exact, exact_grads = gradients(plain, **batch(padded=True))
    errors: dict[str, dict[str, float]] = {}
    for kind, model in (("plain", plain), ("lean", lean)):
        with torch.autocast("cpu", torch.bfloat16):
            logits, grads = gradients(model, **batch(padded=True))
        assert all(grad.dtype == torch.float32 for grad in grads.values())
        off = torch.cat([(grads[name] - exact_grads[name]).flatten() for name in grads]).norm()
        errors[kind] = {"logits": float((logits - exact).norm()), "grads": float(off)}
    assert errors["lean"]["logits"] < 0.05 * exact.norm()
    assert errors["lean"]["grads"] < 1.25 * errors["plain"]["grads"]


def test_evaluation_is_the_plain_models() -> None:
    plain, lean = pair(hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    inputs = batch(padded=True)
    with torch.no_grad():
        torch.testing.assert_close(lean.eval()(**inputs).logits, plain.eval()(**inputs).logits)


def test_last_layer_works_on_the_first_token_only_for_the_classifier() -> None:
    lean = Lean()(classifier())
    seen = []
    norm = lean.bert.encoder.layer[-1].output.LayerNorm
    original = torch.native_layer_norm

    def spy(values: Tensor, *rest: object) -> object:
        seen.append(values.shape[0])
        return original(values, *rest)

    inputs = batch(padded=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "native_layer_norm", spy)
        lean(**inputs)
        assert seen == [36, 36, 4, 4]
        states = lean.bert(inputs["input_ids"], inputs["attention_mask"]).last_hidden_state
    assert states.shape == (4, 9, 24)
    assert norm.weight.grad is None


def test_hidden_states_and_attentions_are_complete() -> None:
    plain, lean = pair(attn_implementation="eager")
    inputs = batch(padded=True)
    for name in ("output_hidden_states", "output_attentions"):
        expected, found = plain(**inputs, **{name: True}), lean(**inputs, **{name: True})
        key = name.removeprefix("output_")
        assert len(found[key]) == len(expected[key]) > 0
        for ours, theirs in zip(found[key], expected[key], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert_same(plain, lean, inputs)


def test_masked_language_models_and_bare_encoders() -> None:
    for kind in (BertConfig, RobertaConfig):
        torch.manual_seed(0)
        plain = AutoModelForMaskedLM.from_config(kind(**SIZES | NO_DROPOUT)).train()
        inputs = batch(padded=True) | {"labels": torch.randint(0, 60, (4, 9))}
        assert_same(plain, Lean()(copy.deepcopy(plain)), inputs)
    encoder = BertModel(BertConfig(**SIZES | NO_DROPOUT)).eval()
    inputs = {"input_ids": torch.arange(8).view(1, 8)}
    expected = encoder(**inputs).last_hidden_state
    torch.testing.assert_close(Lean()(encoder)(**inputs).last_hidden_state, expected, atol=1e-5, rtol=1e-5)


def test_names_state_and_files_stay(tmp_path: Path) -> None:
    plain, lean = pair()
    assert list(lean.state_dict()) == list(plain.state_dict())
    assert inspect.signature(lean.forward) == inspect.signature(plain.forward)
    lean.save_pretrained(tmp_path)
    back = BertForSequenceClassification.from_pretrained(tmp_path)
    assert back.config.architectures == ["BertForSequenceClassification"]
    for name, value in back.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=0, atol=0)


def test_merge_gives_the_plain_forward_back() -> None:
    lean = Lean()(classifier())
    assert any("forward" in part.__dict__ for part in lean.modules())
    assert Lean().merge(lean) is lean
    assert not any("forward" in part.__dict__ for part in lean.modules())


def test_copies_are_independent() -> None:
    lean = Lean()(classifier())
    twin = copy.deepcopy(lean)
    with torch.no_grad():
        twin.bert.encoder.layer[0].output.dense.weight.zero_()
    assert not torch.equal(lean(**batch(padded=False)).logits, twin(**batch(padded=False)).logits)


@pytest.mark.parametrize("change", ["adapter", "hook", "no bias", "own forward"])
def test_a_changed_layer_takes_the_plain_path(change: str) -> None:
    plain, lean = pair()
    calls = []
    for model in (plain, lean):
        query = model.bert.encoder.layer[0].attention.self.query
        if change == "adapter":

            class Doubled(nn.Linear):
                def forward(self, states: Tensor) -> Tensor:
                    return 2 * super().forward(states)

            query.__class__ = Doubled
        elif change == "hook":
            query.register_forward_hook(lambda *_: calls.append(1))
        elif change == "no bias":
            query.bias = None
        else:
            query.forward = lambda states, query=query: 3 * nn.Linear.forward(query, states)
    assert_same(plain, lean, batch(padded=True))
    assert len(calls) == (2 if change == "hook" else 0)


def test_gradient_checkpointing() -> None:
    plain, lean = pair()
    lean.activation_checkpointing_enable({"use_reentrant": False})
    assert_same(plain, lean, batch(padded=True))


def test_frozen_parameters_get_no_gradient() -> None:
    plain, lean = pair()
    for model in (plain, lean):
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("layer.1" in name or "classifier" in name)
    for model in (plain, lean):
        model(**batch(padded=True)).loss.backward()
    for ours, theirs in zip(lean.parameters(), plain.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5)


def test_meta_device_and_other_architectures(caplog: pytest.LogCaptureFixture) -> None:
    with torch.device("meta"):
        model = Lean()(BertForSequenceClassification(BertConfig(**SIZES)))
    ids = torch.zeros(2, 5, dtype=torch.long, device="meta")
    assert model(ids).logits.shape == (2, 2)
    torch.manual_seed(0)
    config = DistilBertConfig(
        dim=24, n_heads=3, n_layers=1, hidden_dim=40, vocab_size=60, dropout=0.0, attention_dropout=0.0
    )
    other = AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa")
    plain = copy.deepcopy(other)
    with caplog.at_level(logging.INFO):
        Lean()(other)
    assert len(caplog.records) == 1
    assert "DistilBertForSequenceClassification" in caplog.text
    inputs = batch(padded=True)
    torch.testing.assert_close(other.eval()(**inputs).logits, plain.eval()(**inputs).logits)


def test_operations_can_be_counted_without_weights() -> None:
    plain, lean = pair(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    shape = (("input_ids", (4, 9), "int64"), ("attention_mask", (4, 9), "int64"))
    found = [count(model, {shape: 1}, train=True) for model in (plain, lean)]
    assert found[0] == found[1] is not None


def test_decoders_and_other_activations_are_left_alone() -> None:
    for fields in ({"hidden_act": "relu"}, {"is_decoder": True}):
        lean = Lean()(classifier(**fields))
        assert not any(
            getattr(p.__dict__.get("forward"), "__func__", 0) is layer_forward for p in lean.modules()
        )


def test_accumulated_gradients_are_sums_and_kept_ones_stay() -> None:
    wide = {"vocab_size": 20_000}  # large enough for the embedding's own memory
    plain, lean = pair(**wide)
    first, second = batch(padded=True), batch(padded=False)
    sums = []
    for model in (plain, lean):
        model.zero_grad()
        model(**first).loss.backward()
        table = model.base_model.embeddings.word_embeddings.weight
        once = table.grad
        kept = once.clone()
        table.grad = None
        model(**second).loss.backward()
        assert torch.equal(once, kept)
        model(**first).loss.backward()
        sums.append(table.grad)
    torch.testing.assert_close(sums[1], sums[0], atol=1e-5, rtol=1e-5)


def test_a_step_reuses_the_memory_of_the_embeddings_gradient() -> None:
    lean = Lean()(classifier(vocab_size=20_000))
    places = []
    for _ in range(3):
        lean.zero_grad()
        lean(**batch(padded=True)).loss.backward()
        table = lean.bert.embeddings.word_embeddings.weight
        places.append(table.grad.data_ptr())
    assert len(set(places)) == 1
    assert table.grad.abs().sum(dim=1).count_nonzero() <= 36


def test_dropout_is_a_function_of_torchs_generator() -> None:
    lean = Lean()(classifier(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.2))
    inputs = batch(padded=True)
    torch.manual_seed(3)
    first = lean(**inputs).logits
    state = torch.get_rng_state()
    second = lean(**inputs).logits
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(lean(**inputs).logits, second)


def test_mean_loss_with_dropout_is_the_plain_models() -> None:
    plain, lean = pair(hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    inputs = batch(padded=True)
    with torch.no_grad():
        losses = [torch.stack([model(**inputs).loss for _ in range(400)]) for model in (plain, lean)]
    spread = torch.sqrt(sum(loss.var() / len(loss) for loss in losses))
    assert (losses[0].mean() - losses[1].mean()).abs() < 4 * spread
    assert 0.8 < losses[1].std() / losses[0].std() < 1.25


def test_distributed_data_parallel(tmp_path: Path) -> None:
    plain, lean = pair(vocab_size=20_000)
    expected = gradients(plain, **batch(padded=True))[1]
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        replicated = DistributedDataParallel(lean)
        for _ in range(2):
            grads = gradients(replicated, **batch(padded=True))[1]
    finally:
        torch.distributed.destroy_process_group()
    for name, grad in expected.items():
        torch.testing.assert_close(grads[f"module.{name}"], grad, atol=1e-5, rtol=1e-5)
