"""Vision models of transformers, from random weights by their sizes or from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from llm_lab.errors import AssetError, ConfigError
from llm_lab.models.folder import model_folder
from llm_lab.models.sizes import known_sizes
from llm_lab.models.tower import Tokens, Tower, all_tokens, node_of


class Vision(Tower):
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
        if (architecture is None) == (source is None):
            raise ConfigError("give either `architecture` with its `sizes`, or `source`")
        self.frozen_as = freeze
        if source is not None:
            self.backbone = loaded(source, licence)
        else:
            self.backbone = _blank(str(architecture), sizes or {}, column)
        _without_summary(self.backbone)
        config = self.backbone.config
        self.width = int(getattr(config, "hidden_size", 0) or config.hidden_sizes[-1])
        self.freeze(frozen=freeze)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, T, D] from pixels [B, C, H, W]."""
        states = self.backbone(pixel_values=values).last_hidden_state
        return all_tokens(states if states.ndim == 3 else states.flatten(2).transpose(1, 2))  # noqa: PLR2004 - a map has four

    def saved(self) -> dict[str, Any]:
        """The configuration in full."""
        fields = self.backbone.config.to_diff_dict()
        kind = fields.pop("model_type", self.backbone.config.model_type)
        return node_of(self, architecture=kind, sizes=plain(fields), freeze=self.frozen_as)


def _without_summary(backbone: Any) -> None:
    """Take away what only a summary of the picture is made with: parameters without gradient stop DDP."""
    pooler = getattr(backbone, "pooler", None)
    if pooler is not None and list(pooler.parameters()):
        backbone.pooler = None
    if backbone.config.model_type.startswith("convnext"):
        backbone.layernorm = nn.Identity()


def plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a configuration that sizes are: no versions and no names of classes."""
    names = {"transformers_version", "architectures", "dtype", "torch_dtype", "_name_or_path"}
    return {name: value for name, value in fields.items() if name not in names}


def _blank(architecture: str, sizes: Mapping[str, Any], column: Mapping[str, Any]) -> Any:
    fields = known_sizes(architecture, sizes)
    known = AutoConfig.for_model(architecture).to_dict()
    height, width = column["size"]
    told = {
        "num_channels": int(column["channels"]),
        "image_size": height if height == width else [height, width],
    }
    fields = {name: value for name, value in told.items() if name in known} | fields
    try:
        return AutoModel.from_config(AutoConfig.for_model(architecture, **fields))
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise ConfigError(
            f"sizes: no {architecture} can be built from them: {' '.join(str(error).split())}"
        ) from error


def loaded(source: str, licence: str) -> Any:
    """A model of transformers without a head, from safetensors in single precision."""
    folder = model_folder(source, licence=licence)
    try:
        return AutoModel.from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, dtype="float32"
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise AssetError(
            f"source: transformers cannot load {source}: {' '.join(str(error).split())}"
        ) from error
