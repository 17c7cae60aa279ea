"""What trains: a method's own parameters, and always the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from llm_lab.errors import ConfigError


def backbones(model: nn.Module) -> list[nn.Module]:
    """What a method may change: the backbone, or of several towers those that came with weights and are not frozen.

    Raises:
        ConfigError: there are towers, and none of them is such a one.
    """
    towers: Any = getattr(model, "towers", None)
    if towers is None:
        return [getattr(model, "base_model", model)]
    found = [tower for tower in towers.values() if tower.pretrained and not tower.frozen]
    if not found:
        raise ConfigError(
            "peft: no tower came with weights that are to be tuned: those from random weights train whole, frozen ones "
            "stay as they are"
        )
    return found


def head_of(model: nn.Module) -> set[int]:
    """Identities of the parameters outside the backbone, without those that somebody froze.

    The output layer of a language model is no head: it is pretrained, and often the embedding table itself.
    """
    words = getattr(model, "get_output_embeddings", lambda: None)()
    others = [*backbones(model), *([words] if words is not None else [])]
    inside = {id(parameter) for part in others for parameter in part.parameters()}
    return {id(parameter) for parameter in model.parameters() if parameter.requires_grad} - inside


def train_only(model: nn.Module, wanted: Callable[[str, nn.Parameter], bool]) -> None:
    """Freeze every parameter but those for which ``wanted`` (of name and parameter) is true; thaw none."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and wanted(name, parameter))
