"""Speech models of transformers that read samples: Wav2Vec2, HuBERT, WavLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from llm_lab.errors import ConfigError
from llm_lab.models.backbone_tower import BackboneTower
from llm_lab.models.tower import Tokens, all_tokens

TYPES = ("wav2vec2", "hubert", "wavlm", "unispeech-sat", "data2vec-audio")
UNUSED = (
    "masked_spec_embed",
)  # stands in for masked frames in pretraining; without a gradient DDP would stop


class Speech(BackboneTower):
    """An encoder over samples of 16 kHz, standardized: ``features: waveform, rate: 16000`` in data.columns.

    Args:
        column: of the data.
        architecture: a model type of transformers, such as ``wav2vec2``; with ``source`` it is not needed.
        sizes: fields of that type's configuration.
        source: URI or folder of a model with safetensors weights.
        licence: of the weights.
        freeze: whether its weights stay as they are.

    Raises:
        ConfigError: neither architecture nor source, one that does not read samples, or data of another kind.
        AssetError: the source cannot be loaded.
    """

    def __init__(
        self,
        *,
        column: Mapping[str, Any],
        architecture: str | None = None,
        sizes: Mapping[str, Any] | None = None,
        source: str | None = None,
        licence: str = "",
        freeze: bool = False,
    ) -> None:
        super().__init__()
        if column["features"] != "waveform":
            raise ConfigError(
                f"this model reads samples, the data give {column['features']}: set features: waveform"
            )
        config = self.take(architecture=architecture, sizes=sizes, source=source, licence=licence)
        if config.model_type not in TYPES:
            raise ConfigError(f"`{config.model_type}` does not read samples; {', '.join(TYPES)} do")
        config.apply_spec_augment = False  # augmentation is the data's
        config.layerdrop = (
            0.0  # the parameters of a layer that is skipped have no gradient, and DDP would stop
        )
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and not name.endswith(UNUSED))
        self.width = int(config.hidden_size)
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T', D] from samples [B, T] with their mask."""
        states = self.backbone(input_values=values, attention_mask=mask).last_hidden_state
        if mask is None:
            return all_tokens(states)
        kept = self.backbone._get_feature_vector_attention_mask(states.shape[1], mask)  # noqa: SLF001 - no other way
        return Tokens(states, kept.long())
