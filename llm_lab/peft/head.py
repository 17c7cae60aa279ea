"""What trains: a method's own parameters, and always the head."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn


def head_of(model: nn.Module) -> set[int]:
    """Identities of the parameters outside the backbone, without those that somebody froze.

    The output layer of a language model is no head: it is pretrained, and often the embedding table itself.
    """
    backbone = getattr(model, "base_model", model)
    words = getattr(model, "get_output_embeddings", lambda: None)()
    others = [part for part in (backbone, words) if part is not None]
    inside = {id(parameter) for part in others for parameter in part.parameters()}
    return {id(parameter) for parameter in model.parameters() if parameter.requires_grad} - inside


def train_only(model: nn.Module, wanted: Callable[[str, nn.Parameter], bool]) -> None:
    """Freeze every parameter but those for which ``wanted`` (of name and parameter) is true; thaw none."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and wanted(name, parameter))
