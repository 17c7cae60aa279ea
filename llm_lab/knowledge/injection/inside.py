"""What injection puts into a model: parts that take their own column of the inputs, and are saved with the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from peft import PeftModel
from safetensors import safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME

from llm_lab.errors import ConfigError

SETTINGS = "injection"  # of the saved configuration: settings of each part by its name


class Inside(nn.Module):
    """A part of a model that gets a column of the batch which the model itself does not know.

    Attributes:
        name: what it is called in the model.
        column: of the batch.
        given: the column of the running forward pass [B, T]; None where there is none.
    """

    name: ClassVar[str]
    column: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.given: Tensor | None = None

    def take(self, model: nn.Module, args: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
        """Take the column out of what the model is called with; it stays for layers that are computed twice."""
        del model
        self.given = inputs.pop(self.column, None)
        return args, inputs

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of: the running pass is not its own."""
        return self.__dict__ | {"given": None}

    def settings(self) -> dict[str, Any]:
        """What it is made with, as plain values."""
        return {}


def install(part: Inside, model: nn.Module) -> None:
    """Make it a part of the model, that is saved with it and found again by `reinstall`.

    Raises:
        ConfigError: the model is none of transformers, or has vectors in front of its tokens.
    """
    if isinstance(model, PeftModel) or not isinstance(model, PreTrainedModel):
        raise ConfigError(
            f"knowledge/injection: a {type(model).__name__} does not say which token is which; take a model of "
            "transformers, with peft=lora, ia3 or adapter if any"
        )
    model.add_module(part.name, part)
    model.register_forward_pre_hook(part.take, with_kwargs=True)
    known = getattr(model.config, SETTINGS, None) or {}
    setattr(model.config, SETTINGS, {**known, part.name: part.settings()})


def saved_settings(model: Any) -> Mapping[str, Any]:
    """Settings by name of the parts that a saved model was trained with."""
    return getattr(getattr(model, "config", None), SETTINGS, None) or {}


def saved_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Tensors of a part in the weights of a folder; none where they are elsewhere."""
    file = folder / SAFE_WEIGHTS_NAME
    if not file.is_file():
        return {}
    prefix = f"{name}."
    with safe_open(file, framework="pt") as weights:
        keys = [key for key in weights.keys() if key.startswith(prefix)]  # noqa: SIM118 - no mapping
        return {key.removeprefix(prefix): weights.get_tensor(key) for key in keys}
