"""Every method trains little, changes nothing at first, learns, and leaves a model that says the same."""

from __future__ import annotations

import copy

import pytest
import torch
from omegaconf import OmegaConf
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.models.adapted import attach
from llm_lab.models.pooled import PooledConfig, PooledForSequenceClassification
from llm_lab.models.wrapper import Wrapper
from llm_lab.peft.bottleneck import is_adapted
from llm_lab.peft.layers import ia3, lora
from llm_lab.peft.partial import Partial
from llm_lab.peft.saved import without_adapter, write_adapter
from tests.conftest import ROOT

COMMON = {"vocab_size": 30, "pad_token_id": 0, "num_labels": 3}
SMALL = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
SIZES = {
    "bert": SMALL,
    "roberta": SMALL | {"max_position_embeddings": 40},
    "modernbert": SMALL,
    "llama": SMALL | {"num_key_value_heads": 1},
    "gpt2": {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "t5": {
        "d_model": 8,
        "d_kv": 4,
        "d_ff": 16,
        "num_layers": 2,
        "num_heads": 2,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    },
}
METHODS = sorted(path.stem for path in (ROOT / "conf" / "peft").glob("*.yaml"))
MERGED = ("full", "linear_probe", "bitfit", "lora", "dora", "ia3")
KEPT = ("adapter", "prefix", "prompt", "p_tuning")


def model_of(architecture: str) -> PreTrainedModel:
    torch.manual_seed(0)
    if architecture == "pooled":
        backbone = {"model_type": "bert", **SMALL, "vocab_size": 30}
        return PooledForSequenceClassification(
            PooledConfig(backbone=backbone, num_labels=3, classifier_dropout=0.0)
        )
    config = AutoConfig.for_model(architecture, **SIZES[architecture], **COMMON)
    return AutoModelForSequenceClassification.from_config(config)


def method(name: str, **changes: object) -> Wrapper:
    node = OmegaConf.load(ROOT / "conf" / "peft" / f"{name}.yaml")
    for parent in node.pop("defaults", []):
        node = OmegaConf.merge(OmegaConf.load(ROOT / "conf" / "peft" / f"{parent}.yaml"), node)
    torch.manual_seed(1)
    return build(OmegaConf.merge(node, changes), expected=Wrapper, key="peft")


def batch(*, eos: bool = False) -> dict[str, torch.Tensor]:
    lengths = torch.tensor([7, 4, 5, 6])
    mask = (torch.arange(7)[None] < lengths[:, None]).long()
    ids = torch.randint(2, 30, mask.shape, generator=torch.Generator().manual_seed(2)) * mask
    if eos:  # T5 classifies the last end of sentence
        ids[torch.arange(4), lengths - 1] = 1
    return {"input_ids": ids, "attention_mask": mask}


def logits(model: torch.nn.Module, architecture: str = "") -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**batch(eos=architecture == "t5")).logits


def train(model: torch.nn.Module, architecture: str = "", steps: int = 3) -> list[str]:
    """Three large steps; returns the names of parameters that train but got no gradient."""
    model.train()
    trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
    optimizer = torch.optim.SGD(trained.values(), lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = model(**batch(eos=architecture == "t5")).logits
        torch.nn.functional.cross_entropy(outputs, torch.tensor([0, 1, 2, 0])).backward()
        unused = [name for name, one in trained.items() if one.grad is None]
        optimizer.step()
    return unused


def takes(name: str, architecture: str) -> bool:
    refused = {
        "bitfit": {"llama", "modernbert", "t5"},
        "prefix": {"t5", "modernbert"},
        "prompt": {"t5", "llama", "gpt2"},
        "p_tuning": {"t5", "llama", "gpt2"},
    }
    return architecture not in refused.get(name, set())


PAIRS = [(one, kind) for kind in (*SIZES, "pooled") for one in METHODS if takes(one, kind)]


@pytest.mark.parametrize(("name", "architecture"), PAIRS)
def test_what_is_left_says_the_same(name, architecture, tmp_path):
    wrapper, bare = method(name), model_of(architecture)
    plain = logits(bare, architecture)
    model = wrapper(bare)
    if name in (*MERGED, "adapter"):
        assert torch.allclose(logits(model, architecture), plain, atol=1e-5)
    assert train(model, architecture) == []
    before = logits(model, architecture)
    assert (before - plain).abs().max() > 1e-3

    merged = wrapper.merge(copy.deepcopy(model))
    if name in KEPT:
        assert is_adapted(merged)
        write_adapter(merged, tmp_path)
        base = without_adapter(merged)
        assert set(base.state_dict()) == set(model_of(architecture).state_dict())
        merged = attach(base, tmp_path)
    else:
        assert type(merged) is type(model_of(architecture))
        assert set(merged.state_dict()) == set(model_of(architecture).state_dict())
    assert torch.allclose(logits(merged, architecture), before, atol=1e-4)
    assert torch.equal(logits(model, architecture), before)  # the run goes on


@pytest.mark.parametrize(
    ("name", "architecture"),
    [(one, kind) for kind in SIZES for one in METHODS if not takes(one, kind)],
)
def test_a_model_that_cannot_is_refused(name, architecture):
    with pytest.raises(ConfigError, match=r"peft"):
        method(name)(model_of(architecture))


@pytest.mark.parametrize("name", METHODS)
def test_little_trains_and_the_head_always(name):
    model = method(name)(model_of("bert"))
    trained = {key for key, one in model.named_parameters() if one.requires_grad}
    share = sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert any("classifier.weight" in key for key in trained)
    if name == "linear_probe":
        assert trained == {"classifier.weight", "classifier.bias"}
    if name == "bitfit":
        assert {key for key in trained if not key.endswith(".bias")} == {"classifier.weight"}
    if name == "lora":  # two factors of rank 8 for query and value of two layers, and the head
        assert share == 2 * 2 * (8 * 8 + 8 * 8) + 8 * 3 + 3
    if name != "full":
        assert not any("embeddings" in key and not key.endswith(".bias") for key in trained)


def test_all_linear_leaves_the_head_out():
    model = lora(target_modules="all-linear")(model_of("bert"))
    names = {key for key, _ in model.named_parameters() if "lora_A" in key}
    assert len(names) == 2 * 6
    assert not any("classifier" in key or "pooler" in key for key in names)


def test_wrong_words_are_told():
    with pytest.raises(ConfigError, match="target_modules"):
        lora(target_modules=["no_such_layer"])(model_of("bert"))
    with pytest.raises(ConfigError, match="no parameter of BertForSequenceClassification matches"):
        Partial(train=["biass"])(model_of("bert"))
    with pytest.raises(ConfigError, match="at least 1"):
        lora(r=0)
    assert ia3(target_modules=["query"])(model_of("bert"))


@pytest.mark.parametrize("name", ["prefix", "prompt"])
def test_as_many_labels_as_tokens(name):
    torch.manual_seed(0)
    tokens = batch()["input_ids"].shape[1] + 20
    config = AutoConfig.for_model("bert", **SIZES["bert"], **(COMMON | {"num_labels": tokens}))
    model = method(name)(AutoModelForSequenceClassification.from_config(config))
    assert logits(model).shape == (4, tokens)


def test_a_prefix_and_checkpointed_activations_do_not_go_together():
    model = method("prefix")(model_of("bert")).train()
    model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    with pytest.raises(ConfigError, match="activation_checkpointing"):
        model(**batch())


@pytest.mark.parametrize("name", ["lora", "ia3", "adapter", "prompt", "bitfit"])
def test_checkpointed_activations_give_the_same_gradient(name):
    model = method(name)(model_of("bert")).train()
    gradients = []
    for checkpointed in (False, True):
        torch.manual_seed(3)
        if checkpointed:
            inner = next(part for part in model.modules() if isinstance(part, PreTrainedModel))
            inner.gradient_checkpointing_enable({"use_reentrant": False})
        model.zero_grad()
        model(**batch()).logits.square().sum().backward()
        gradients.append(
            torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
        )
    assert torch.allclose(*gradients, atol=1e-6)
