"""LoRA, DoRA and (IA)³: small factors beside the weights of some layers, multiplied in at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from peft import IA3Config, LoraConfig, PeftConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.constants import (
    TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING,
    TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING,
    TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
)
from torch import nn
from transformers.pytorch_utils import Conv1D

from llm_lab.errors import ConfigError
from llm_lab.models.structure import layer_stack
from llm_lab.models.tower import Tower
from llm_lab.models.wrapper import Wrapper
from llm_lab.peft.bottleneck import refuse_adapted
from llm_lab.peft.head import backbones, head_of
from llm_lab.strategies.whole import whole

Targets = Sequence[str] | str | None
LORA_TARGETS = {**TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING, "modernbert": ["attn.Wqkv"]}
IA3_TARGETS = {**TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING, "modernbert": ["attn.Wqkv", "mlp.Wo"]}
IA3_FEEDFORWARD = {**TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING, "modernbert": ["mlp.Wo"]}
ALL = "all-linear"


class Factors(Wrapper):
    """Puts the layers of a PEFT method in place of linear layers; the model keeps its class and its forward pass.

    Args:
        config: of the library; targets that it leaves open are found in the model.
    """

    def __init__(self, *, config: PeftConfig) -> None:
        self.config: Any = config

    def __call__(self, module: nn.Module) -> nn.Module:
        """Insert the factors in place and freeze all but them and the head."""
        refuse_adapted(module)
        head = head_of(module)
        for part in backbones(module) if hasattr(module, "towers") else [module]:
            config = deepcopy(self.config)  # the library fills it in
            _settle(config, part)
            try:
                inject_adapter_in_model(config, part)
            except ValueError as error:
                raise ConfigError(f"peft.target_modules: {error}") from error
        for parameter in module.parameters():
            if id(parameter) in head:
                parameter.requires_grad_(True)
        return module

    def merge(self, module: nn.Module) -> nn.Module:
        """Multiply the factors into the weights, and put the plain layers back."""
        for parent, name, layer in list(_factored(module)):
            with whole(layer):
                layer.merge(safe_merge=True)
            setattr(parent, name, layer.get_base_layer())
        for part in module.modules():
            part.__dict__.pop("peft_config", None)
        return module


def _factored(module: nn.Module) -> Iterator[tuple[nn.Module, str, BaseTunerLayer]]:
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, BaseTunerLayer):
                yield parent, name, child


def lora(
    *,
    r: int = 8,
    lora_alpha: float = 16,
    lora_dropout: float = 0.0,
    use_rslora: bool = False,
    use_dora: bool = False,
    target_modules: Sequence[str] | str | None = None,
    lr: float | None = None,
) -> Factors:
    """LoRA (Hu et al. 2022, https://arxiv.org/abs/2106.09685) and DoRA (Liu et al. 2024, https://arxiv.org/abs/2402.09353).

    Args:
        r: rank of the change of a weight.
        lora_alpha: the change is multiplied by lora_alpha / r.
        lora_dropout: of what enters the factors.
        use_rslora: multiply by lora_alpha / sqrt(r) instead (https://arxiv.org/abs/2312.03732).
        use_dora: learn the length of each row of a weight apart from its direction.
        target_modules: ends of the names of linear layers, or ``all-linear``, which leaves out the head; None
            takes those that the library knows for the architecture, else ``all-linear``. Of several towers each that
            came with weights gets its own; one without linear layers gets changes of its convolutions.
        lr: learning rate that suits the method; nothing reads it but ``optimizer.lr: ${peft.lr}``.
    """
    del lr
    if r < 1:
        raise ConfigError(f"r: a rank of at least 1 is wanted, found {r}")
    config = LoraConfig(
        r=r,
        lora_alpha=lora_alpha,
        lora_dropout=lora_dropout,
        use_rslora=use_rslora,
        use_dora=use_dora,
        target_modules=_listed(target_modules),
    )
    return Factors(config=config)


def ia3(
    *,
    target_modules: Sequence[str] | None = None,
    feedforward_modules: Sequence[str] | None = None,
    lr: float | None = None,
) -> Factors:
    """(IA)³: a factor per feature of keys, values and feed-forward layers (Liu et al. 2022, https://arxiv.org/abs/2205.05638).

    Args:
        target_modules: ends of the names of linear layers; None takes those that the library knows.
        feedforward_modules: those of them whose input is scaled, not their output.
        lr: learning rate that suits the method; nothing reads it but ``optimizer.lr: ${peft.lr}``.
    """
    del lr
    if target_modules is None:
        return Factors(config=IA3Config())
    forward = list(feedforward_modules or [])
    return Factors(config=IA3Config(target_modules=list(target_modules), feedforward_modules=forward))


def _listed(targets: Targets) -> list[str] | str | None:
    return targets if targets is None or isinstance(targets, str) else list(targets)


def _settle(config: Any, model: nn.Module) -> None:
    """Fill in the target layers by the architecture of the backbone."""
    backbone: Any = getattr(model, "backbone", getattr(model, "base_model", model))
    kind = backbone.config.model_type if hasattr(backbone, "config") else type(model).__name__
    if isinstance(config, IA3Config) and config.target_modules is None:
        if kind not in IA3_TARGETS:
            raise ConfigError(
                f"peft.target_modules: nobody has said which layers of {kind} (IA)³ scales; name them, and "
                "those of them that feed forward in peft.feedforward_modules"
            )
        config.target_modules, config.feedforward_modules = set(IA3_TARGETS[kind]), set(IA3_FEEDFORWARD[kind])
    elif config.target_modules is None:
        config.target_modules = LORA_TARGETS.get(kind, ALL)
    if config.target_modules == ALL:
        config.target_modules = _linear(model)
    config.fan_in_fan_out = any(type(part) is Conv1D for part in model.modules())  # GPT-2's linear layers


def _linear(model: nn.Module) -> set[str]:
    """Names of the linear layers of the stack, of a tower all; of one that has none its convolutions."""
    if isinstance(model, Tower):
        parts = list(model.named_modules())
        linear = {name for name, part in parts if isinstance(part, nn.Linear | Conv1D)}
        return linear or {name for name, part in parts if type(part) is nn.Conv2d and part.groups == 1}
    stack = layer_stack(model)[0]
    parts = [(name, part) for name, part in model.named_modules() if name.startswith(f"{stack}.")]
    return {name for name, part in parts if isinstance(part, nn.Linear | Conv1D)}
