"""A model of several towers as transformers' Auto classes know it; importing this registers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput, SequenceClassifierOutput

from llm_lab.config import build
from llm_lab.data.spec import KEY, MASK, PRESENT
from llm_lab.models.feature_cache import FeatureCache
from llm_lab.models.fusion.fusion import Fusion
from llm_lab.models.tower import Tokens, Tower


class FusionConfig(PreTrainedConfig):
    """Nodes of the towers and of fusion, and what the data say of each input.

    Attributes:
        inputs: facts of each input by name, see `llm_lab.data.multimodal.kind.Kind.facts`.
        towers: node of a `Tower` for each, which needs no source.
        fusion: node of a `Fusion`; none where a language model takes all tokens.
        language: configuration of that model.
        width: of the tokens that fusion gets.
        dropout: before the last layer.
        modality_dropout: probability with which a row lacks an input in training, never all of them.
        vocabulary: of a model that writes: ``size``, the numbers of ``none`` (no symbol) and ``end``, and ``longest``,
            tokens of a text.
        decoder: of a model that writes token by token: ``layers``, ``heads``, ``dropout``, ``positions``.
    """

    model_type = "llm_lab_fusion"

    def __init__(
        self,
        *,
        inputs: dict[str, Any] | None = None,
        towers: dict[str, Any] | None = None,
        fusion: dict[str, Any] | None = None,
        language: dict[str, Any] | None = None,
        width: int = 128,
        dropout: float = 0.1,
        modality_dropout: float = 0.0,
        vocabulary: dict[str, int] | None = None,
        decoder: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.inputs, self.towers, self.fusion = inputs or {}, towers or {}, fusion or {}
        self.language = language
        self.width, self.dropout, self.modality_dropout = width, dropout, modality_dropout
        self.vocabulary, self.decoder = vocabulary or {}, decoder or {}
        super().__init__(**kwargs)

    def language_config(self) -> Any:
        """The language model's own configuration."""
        fields = dict(self.language or {})
        return AutoConfig.for_model(fields.pop("model_type"), **fields)


class Towers(PreTrainedModel):
    """Towers, projections to one width, placeholders for what is missing.

    Attributes:
        caches: of what frozen towers make of inputs, by input; none of a model that no run has.
    """

    config_class = FusionConfig
    main_input_name = "inputs"

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        names = sorted(config.towers)  # as a saved configuration has them
        self.towers = nn.ModuleDict(
            {
                name: build(
                    config.towers[name],
                    expected=Tower,
                    key=f"towers.{name}",
                    column=config.inputs[name],
                    spec=None,
                )
                for name in names
            }
        )
        self.project = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(_width(tower), config.width), nn.LayerNorm(config.width))
                for name, tower in self.towers.items()
            }
        )
        self.caches: dict[str, FeatureCache] = {}
        self.optional = [name for name in names if self._may_lack(name)]
        self.placeholders = nn.ParameterDict(
            {name: torch.randn(config.width) * 0.02 for name in self.optional}
        )

    def _may_lack(self, name: str) -> bool:
        several = len(self.config.towers) > 1
        return bool(self.config.inputs[name]["optional"] or (self.config.modality_dropout and several))

    def _init_weights(self, module: nn.Module) -> None:
        """Every part starts as its own constructor has it."""

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Tokens]:
        """Tokens at one width of the inputs that are given, by ``NAME``, ``NAME_mask`` and ``NAME_present``."""
        tokens = {}
        for name, tower in self.towers.items():
            if name not in inputs:
                continue
            found = self._tokens(name, tower, inputs)
            tokens[name] = Tokens(self.project[name](found.states), found.mask)
        present = self._present(inputs)
        return {name: self._filled(name, one, present.get(name)) for name, one in tokens.items()}

    def _tokens(self, name: str, tower: Any, inputs: Mapping[str, Tensor]) -> Tokens:
        values, mask, keys = inputs[name], inputs.get(f"{name}{MASK}"), inputs.get(f"{name}{KEY}")
        if keys is not None and name in self.caches:
            return self.caches[name](tower, values, mask, keys)
        found: Tokens = tower(values, mask)
        return found

    def _present(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Which rows [B] have each of the inputs that may be missing, some of them dropped in training."""
        first = next(inputs[name] for name in self.towers if name in inputs)
        there = {
            name: inputs.get(
                f"{name}{PRESENT}", torch.ones(len(first), dtype=torch.bool, device=first.device)
            )
            for name in self.towers
        }
        if self.training and self.config.modality_dropout:
            kept = torch.stack(list(there.values()), dim=1)
            kept = kept & (torch.rand(kept.shape, device=kept.device) >= self.config.modality_dropout)
            lost = ~kept.any(dim=1, keepdim=True)
            there = {
                name: one | lost[:, 0] & there[name] for name, one in zip(there, kept.unbind(1), strict=True)
            }
        return {name: there[name] for name in self.optional}

    def _filled(self, name: str, tokens: Tokens, present: Tensor | None) -> Tokens:
        """The tokens, and of rows without the input one placeholder."""
        if present is None:
            return tokens
        keep = present[:, None]
        states = torch.where(keep[..., None], tokens.states, self.placeholders[name].to(tokens.states.dtype))
        one = torch.zeros_like(tokens.mask)
        one[:, 0] = 1
        return Tokens(states, torch.where(keep, tokens.mask, one))


class FusionForSequenceClassification(Towers):
    """Towers, fusion, one linear layer."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        names = list(self.towers)
        self.fusion = build(config.fusion, expected=Fusion, key="fusion", names=names, width=config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.fusion.width, config.num_labels)
        self.post_init()

    def forward(self, **inputs: Tensor) -> SequenceClassifierOutput:
        """Logits [B, C] from the tensors of the inputs, see `Towers.encode`."""
        fused = self.fusion(self.encode(inputs))
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(fused)))


@dataclass
class SpaceOutput(BaseModelOutput):
    """Vectors, and what is learned of how their inner products become scores.

    Attributes:
        logit_scale: [1] logarithm of a factor.
        logit_bias: [1] what is added.
    """

    logit_scale: Tensor | None = None
    logit_bias: Tensor | None = None


class FusionModel(Towers):
    """Towers whose pooled tokens lie in one space: a vector for each input."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__(config)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Dropout(config.dropout), nn.Linear(config.width, config.width, bias=False)
                )
                for name in self.towers
            }
        )
        self.logit_scale = nn.Parameter(torch.zeros(1))
        self.logit_bias = nn.Parameter(torch.zeros(1))
        self.post_init()

    def forward(self, **inputs: Tensor) -> SpaceOutput:
        """Vectors [B, N, D] of length one of the inputs that are given, in the order of their names."""
        tokens = self.encode(inputs)
        vectors = [self.heads[name](one.pooled()) for name, one in tokens.items()]
        return SpaceOutput(
            last_hidden_state=nn.functional.normalize(torch.stack(vectors, dim=1), dim=-1),
            logit_scale=self.logit_scale * 1,  # whoever shards parameters keeps them to the forward pass
            logit_bias=self.logit_bias * 1,
        )


def _width(tower: nn.Module) -> int:
    assert isinstance(tower, Tower)  # noqa: S101 - `build` saw to that
    return tower.width


AutoConfig.register(FusionConfig.model_type, FusionConfig, exist_ok=True)
AutoModel.register(FusionConfig, FusionModel, exist_ok=True)
AutoModelForSequenceClassification.register(FusionConfig, FusionForSequenceClassification, exist_ok=True)
