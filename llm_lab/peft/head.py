"""What trains: a method's own parameters, and always the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from llm_lab.errors import ConfigError


def backbones(model: nn.Module) -> list[nn.Module]:
    """What a method may change: the backbone, or of several towers and what writes behind them the pretrained ones.

    What is frozen, or starts from random weights, is none of them.

    Raises:
        ConfigError: there are towers, and nothing of the kind.
    """
    towers: Any = getattr(model, "towers", None)
    if towers is None:
        return [getattr(model, "base_model", model)]
    parts: list[Any] = [*towers.values(), getattr(model, "language", None)]
    found = [
        part
        for part in parts
        if getattr(part, "pretrained", False) and any(one.requires_grad for one in part.parameters())
    ]
    if not found:
        raise ConfigError(
            "peft: nothing came with weights that are to be tuned: towers and language models from random weights "
            "train whole, frozen ones stay as they are"
        )
    return found


def head_of(model: nn.Module) -> set[int]:
    """Identities of the parameters outside the backbone, without those that somebody froze.

    The output layer of a language model is no head: it is pretrained, and often the embedding table itself.
    """
    words = None if hasattr(model, "towers") else getattr(model, "get_output_embeddings", lambda: None)()
    others = [*backbones(model), *([words] if words is not None else [])]
    inside = {id(parameter) for part in others for parameter in part.parameters()}
    return {id(parameter) for parameter in model.parameters() if parameter.requires_grad} - inside


def train_only(model: nn.Module, wanted: Callable[[str, nn.Parameter], bool]) -> None:
    """Freeze every parameter but those for which ``wanted`` (of name and parameter) is true; thaw none."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and wanted(name, parameter))
