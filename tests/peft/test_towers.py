"""What tunes little goes into the towers that came with weights, and leaves the others to train or as they are."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from transformers import AutoConfig, AutoModel

from llm_lab.config import build
from llm_lab.errors import ConfigError
from llm_lab.models import wrapper
from llm_lab.models.fusion.model import fused, saved
from llm_lab.models.wrapper import Wrapper
from llm_lab.peft.bottleneck import is_adapted
from llm_lab.tasks.artifact import write_artifact
from tests.models.fusion.test_fusion import AUDIO, IMAGE, SMALL, TEXT, batch_of, spec_of
from tests.models.tiny import CONF

NAMES = ("picture", "sound", "words")
SIZES: dict[str, dict[str, Any]] = {
    "bert": {**SMALL, "vocab_size": 40},
    "vit": {**SMALL, "image_size": 16, "patch_size": 8},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1], "layer_type": "basic"},
    "convnext": {"hidden_sizes": [8, 8], "depths": [1, 1], "num_stages": 2},
}


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, str]:
    """Folders of small models, as pretrained ones come."""
    for kind, sizes in SIZES.items():
        AutoModel.from_config(AutoConfig.for_model(kind, **sizes)).save_pretrained(tmp_path / kind)
    return {kind: str(tmp_path / kind) for kind in SIZES}


def method(name: str, **options: Any) -> Wrapper:
    node: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"peft/{name}.yaml"))
    if defaults := node.pop("defaults", None):
        node = OmegaConf.to_container(OmegaConf.load(CONF / f"peft/{defaults[0]}.yaml")) | node
    return build({**node, **options}, expected=Wrapper, key="peft")


def model_of(sources: dict[str, str], vision: str = "vit", **changes: Any) -> Any:
    text = {"_target_": TEXT["_target_"], "source": sources["bert"]}
    image = {"_target_": "llm_lab.models.image.vision.Vision", "source": sources[vision]}
    parts = {"text": text, "image": image, "audio": AUDIO} | changes
    fusion = {"_target_": "llm_lab.models.fusion.late.Concatenation"}
    return fused(spec=spec_of(*NAMES), fusion=fusion, width=8, dropout=0.0, **parts).eval()


def trained(model: Any, tower: str) -> set[str]:
    return {name for name, one in model.towers[tower].named_parameters() if one.requires_grad}


@pytest.mark.parametrize("vision", ["vit", "resnet", "convnext"])
@pytest.mark.parametrize("name", ["lora", "dora", "bitfit", "linear_probe", "adapter"])
def test_towers_with_weights_are_tuned_and_others_train_whole(
    sources: dict[str, str], name: str, vision: str
) -> None:
    model = model_of(sources, vision)
    before, batch = model(**batch_of(*NAMES)).logits, batch_of(*NAMES)
    one = method(name)
    module: Any = one(model)
    assert torch.allclose(module(**batch).logits, before, atol=1e-5)
    assert trained(module, "sound") == {key for key, _ in module.towers["sound"].named_parameters()}
    assert (
        all(part.requires_grad for part in module.project.parameters())
        and module.classifier.weight.requires_grad
    )
    assert len(trained(module, "words")) < len(list(module.towers["words"].parameters())) or name == "adapter"
    if name in {"lora", "dora"}:
        assert all("lora_" in key for key in trained(module, "picture")) and trained(module, "picture")
    optimizer = torch.optim.SGD([part for part in module.parameters() if part.requires_grad], lr=0.1)
    for _ in range(2):
        module(**batch).logits.square().sum().backward()
        optimizer.step()
    after = module.eval()(**batch).logits
    assert not torch.allclose(after, before, atol=1e-4)
    merged = wrapper.merge([one], copy.deepcopy(module))
    assert torch.allclose(merged(**batch).logits, after, atol=1e-4)
    assert is_adapted(merged) == (name == "adapter")


def test_a_frozen_tower_stays_as_it_is(sources: dict[str, str]) -> None:
    text = {"_target_": TEXT["_target_"], "source": sources["bert"], "freeze": True}
    module = method("lora")(model_of(sources, text=text))
    assert trained(module, "words") == set() and trained(module, "picture")


def test_a_network_of_convolutions_is_tuned() -> None:
    image = {"_target_": "llm_lab.models.image.efficientnet.EfficientNetLite0"}
    model = model_of(dict.fromkeys(SIZES, ""), text=TEXT, image=image)
    model.towers["picture"].pretrained = True
    batch = batch_of(*NAMES) | {"picture": torch.randn(4, 3, 32, 32)}
    before = model(**batch).logits
    one = method("lora")
    module: Any = one(model)
    assert torch.allclose(module(**batch).logits, before, atol=1e-4)
    for key, part in module.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(part, std=0.02)
    after = module(**batch).logits
    assert torch.allclose(wrapper.merge([one], module)(**batch).logits, after, atol=1e-3)


def test_what_cannot_be_tuned_little_is_told(sources: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="nothing came with weights"):
        method("lora")(model_of(sources, text=TEXT, image=IMAGE))
    with pytest.raises(ConfigError, match="belong to one text model"):
        method("prefix")(model_of(sources))
    with pytest.raises(ConfigError, match="nobody has said which layers"):
        method("ia3")(model_of(sources))


@pytest.mark.parametrize("name", ["lora", "adapter"])
def test_what_a_run_leaves_is_loaded_again(sources: dict[str, str], tmp_path: Path, name: str) -> None:
    one, batch = method(name), batch_of(*NAMES)
    module: Any = one(model_of(sources))
    for part in module.parameters():
        if part.requires_grad:
            torch.nn.init.normal_(part, std=0.1)
    expected = module(**batch).logits
    write_artifact(tmp_path / "model", model=module, wrappers=[one], spec=spec_of(*NAMES), task="Test")
    again = saved(spec=spec_of(*NAMES), source=str(tmp_path / "model")).eval()
    assert torch.allclose(again(**batch).logits, expected, atol=1e-4)
