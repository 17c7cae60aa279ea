"""Facts that only their own entity sees, at soft places: K-BERT (Liu et al. 2020, https://arxiv.org/abs/1909.07606)."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from llm_lab.data.annotations import BRANCHES, FACTS
from llm_lab.errors import ConfigError
from llm_lab.knowledge.injection.inside import Inside, install
from llm_lab.models.wrapper import Wrapper

FROM_ZERO = frozenset({"bert", "electra"})  # models that number the places of tokens, from 0
BEHIND_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})  # or from behind the number of padding


def visible(branches: Tensor) -> Tensor:
    """Which token sees which, [B, T] to [B, T, T].

    Words of the text see each other, words of a fact too; between the two there is sight only from a fact to the part
    of the text that it is about, and back.
    """
    trunk = branches <= 0
    part = branches.abs() // FACTS
    one, other = branches[:, :, None], branches[:, None, :]
    both = trunk[:, :, None] & trunk[:, None, :]
    across = (trunk[:, :, None] | trunk[:, None, :]) & (part[:, :, None] == part[:, None, :])
    return both | (one == other) | (across & (part > 0)[:, :, None])


def soft_places(branches: Tensor) -> Tensor:
    """Places of tokens [B, T]: the text as if it had no facts in it, each fact behind the last word it is about."""
    trunk = branches <= 0
    places = trunk.long().cumsum(1) - 1
    number = torch.arange(branches.shape[1], device=branches.device).expand_as(branches)
    begins = torch.ones_like(trunk)
    begins[:, 1:] = branches[:, 1:] != branches[:, :-1]
    start = torch.where(begins, number, 0).cummax(1).values
    return torch.where(trunk, places, places + 1 + number - start)


class Branches(Inside):
    """Makes mask and places for the backbone of a model, where the batch has branches."""

    name, column = "visibility", BRANCHES

    def see(self, backbone: Any, args: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
        """Replace mask [B, T] by one for each pair of tokens, [B, 1, T, T], and give the places."""
        if self.given is None:
            return args, inputs
        mask = visible(self.given) & inputs["attention_mask"].bool()[:, None, :]
        config = backbone.config
        offset = config.pad_token_id + 1 if config.model_type in BEHIND_PADDING else 0
        places = soft_places(self.given) + offset
        return args, {**inputs, "attention_mask": mask[:, None], "position_ids": places}


class Visibility(Wrapper):
    """Lets an encoder see facts as `Verbalize` says: by their entity alone.

    Args:
        enabled: False changes nothing.
    """

    writes_weights = False

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled

    def __call__(self, module: nn.Module) -> nn.Module:
        """Watch the backbone's inputs.

        Raises:
            ConfigError: the model numbers no places that could be soft.
        """
        if self.enabled:
            put(module)
        return module


def put(module: nn.Module) -> None:
    """Make `Branches` a part of a model."""
    backbone: Any = getattr(module, "base_model", module)
    kind = cast("Any", backbone).config.model_type
    if kind not in FROM_ZERO | BEHIND_PADDING:
        known = ", ".join(sorted(FROM_ZERO | BEHIND_PADDING))
        raise ConfigError(
            f"data.transforms.knowledge.visibility: {kind} has no places that could be soft; models that have: {known}"
        )
    part = Branches()
    install(part, module)
    backbone.register_forward_pre_hook(part.see, with_kwargs=True)
