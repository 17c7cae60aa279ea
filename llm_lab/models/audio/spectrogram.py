"""Models of transformers that read spectrograms of a fixed length: AST, and the encoder of Whisper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from llm_lab.errors import ConfigError
from llm_lab.models.audio.cnn import halved
from llm_lab.models.backbone_tower import BackboneTower
from llm_lab.models.tower import Tokens

AST, WHISPER = "audio-spectrogram-transformer", "whisper"
TYPES = (AST, WHISPER)


class Spectrogram(BackboneTower):
    """AST (Gong et al. 2021, https://arxiv.org/abs/2104.01778) or Whisper's encoder (Radford et al. 2022, 2212.04356).

    Neither has a mask: every sound is filled up to the length that the model was made for, as in their own training;
    so what else stands in a batch does not matter. A token of AST is a moment, the mean over its bands. With pretrained
    weights set ``features: ast`` or ``features: whisper``, ``rate: 16000`` and their number of bands in data.columns.

    Args:
        column: of the data: ``mels``, and for random weights ``max_seconds`` and ``hop``, which say the length.
        architecture: one of the two model types; with ``source`` it is not needed.
        sizes: fields of that type's configuration.
        source: URI or folder of a model with safetensors weights.
        licence: of the weights.
        freeze: whether its weights stay as they are.

    Raises:
        ConfigError: neither architecture nor source, another model, or data of another kind.
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
        told = _told(column)
        config = self.take(architecture=architecture, sizes=sizes, source=source, licence=licence, told=told)
        self.kind = str(config.model_type)
        if self.kind not in TYPES:
            raise ConfigError(f"`{self.kind}` does not read spectrograms; {' and '.join(TYPES)} do")
        if column["features"] == "waveform" or int(column["mels"]) != int(config.num_mel_bins):
            raise ConfigError(
                f"this model reads spectrograms of {config.num_mel_bins} bands, the data give {column['features']} "
                f"of {column['mels']}"
            )
        if self.kind == WHISPER:
            self.backbone = self.backbone.encoder
        self.frames = config.max_length if self.kind == AST else 2 * config.max_source_positions
        self.width = int(config.hidden_size)
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T', D] from frames [B, T, mels] with their mask [B, T]; what is beyond the length is cut off."""
        values, keep = filled(values, mask, self.frames)
        return self._patches(values, keep) if self.kind == AST else self._moments(values, keep)

    def _moments(self, values: Tensor, keep: Tensor) -> Tokens:
        states = self.backbone(values.transpose(1, 2)).last_hidden_state
        return Tokens(states, halved(keep))

    def _patches(self, values: Tensor, keep: Tensor) -> Tokens:
        config = self.backbone.config
        states = self.backbone(values).last_hidden_state[:, 2:]  # behind the two summaries
        bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        moments = states.view(len(states), bands, -1, states.shape[-1]).mean(dim=1)
        starts = torch.arange(moments.shape[1], device=keep.device) * config.time_stride
        return Tokens(moments, keep[:, starts])


def filled(values: Tensor, mask: Tensor | None, frames: int) -> tuple[Tensor, Tensor]:
    """Values [B, T, mels] and mask [B, T] of exactly so many frames: silence behind each sound."""
    keep = torch.ones(values.shape[:2], dtype=torch.int64, device=values.device) if mask is None else mask
    values, keep = values[:, :frames], keep[:, :frames]
    lowest = values.masked_fill(keep.unsqueeze(-1) == 0, torch.inf).amin(dim=(1, 2))  # silence, of each sound
    values = torch.where(keep.unsqueeze(-1) == 1, values, lowest[:, None, None])
    short = frames - values.shape[1]
    longer = torch.cat([values, lowest[:, None, None].expand(-1, short, values.shape[2])], dim=1)
    return longer, nn.functional.pad(keep, (0, short))


def _told(column: Mapping[str, Any]) -> dict[str, Any]:
    """Bands and length, as both types call them."""
    bands = {"num_mel_bins": int(column["mels"])}
    if not {"max_seconds", "hop"} <= column.keys():
        return bands
    frames = math.ceil(float(column["max_seconds"]) / float(column["hop"]))
    return {**bands, "max_length": frames, "max_source_positions": math.ceil(frames / 2)}
