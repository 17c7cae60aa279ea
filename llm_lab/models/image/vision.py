"""Vision models of transformers, from random weights by their sizes or from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from llm_lab.models.backbone_tower import BackboneTower
from llm_lab.models.tower import Tokens, all_tokens


class Vision(BackboneTower):
    """ViT, ConvNeXt, ResNet and other models that read ``pixel_values``; tokens are patches or places of the last map.

    Args:
        column: of the data: ``size`` and ``channels``.
        architecture: a model type of transformers, such as ``vit``; with ``source`` it is not needed.
        sizes: fields of that type's configuration.
        source: URI or folder of a model with safetensors weights.
        licence: of the weights.
        freeze: whether its weights stay as they are.

    Raises:
        ConfigError: neither architecture nor source, or sizes that do not fit.
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
        height, width = column["size"]
        told = {
            "num_channels": int(column["channels"]),
            "image_size": height if height == width else [height, width],
        }
        config = self.take(architecture=architecture, sizes=sizes, source=source, licence=licence, told=told)
        _without_summary(self.backbone)
        self.width = int(getattr(config, "hidden_size", 0) or config.hidden_sizes[-1])
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T, D] from pixels [B, C, H, W]."""
        states = self.backbone(pixel_values=values).last_hidden_state
        return all_tokens(states if states.ndim == 3 else states.flatten(2).transpose(1, 2))  # noqa: PLR2004 - a map has four


def _without_summary(backbone: Any) -> None:
    """Take away what only a summary of the picture is made with: parameters without gradient stop DDP."""
    pooler = getattr(backbone, "pooler", None)
    if pooler is not None and list(pooler.parameters()):
        backbone.pooler = None
    if backbone.config.model_type.startswith("convnext"):
        backbone.layernorm = nn.Identity()
