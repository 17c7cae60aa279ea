"""Towers whose encoder is a model of transformers, from random weights by its sizes or from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel

from llm_lab.errors import AssetError, ConfigError
from llm_lab.models.folder import model_folder
from llm_lab.models.sizes import known_sizes
from llm_lab.models.tower import Tower, node_of

NO_SIZES = {"transformers_version", "architectures", "dtype", "torch_dtype", "_name_or_path"}


class BackboneTower(Tower):
    """Base of these towers; `take` gives it its ``backbone``."""

    backbone: Any

    def take(
        self,
        *,
        architecture: str | None,
        sizes: Mapping[str, Any] | None,
        source: str | None,
        licence: str,
        told: Mapping[str, Any] | None = None,
    ) -> Any:
        """Load or make the backbone, and return its configuration.

        Args:
            architecture: a model type of transformers; with ``source`` it is not needed.
            sizes: fields of that type's configuration.
            source: URI or folder of a model with safetensors weights.
            licence: of the weights.
            told: what the data say of fields, for those that the type has and ``sizes`` leaves open.

        Raises:
            ConfigError: neither architecture nor source, or sizes that do not fit.
            AssetError: the source cannot be loaded.
        """
        if (architecture is None) == (source is None):
            raise ConfigError("give either `architecture` with its `sizes`, or `source`")
        if source is not None:
            self.backbone = _loaded(source, licence)
        else:
            self.backbone = _blank(str(architecture), sizes or {}, told or {})
        return self.backbone.config

    def saved(self) -> dict[str, Any]:
        """The configuration in full, without versions and names of classes."""
        fields = self.backbone.config.to_diff_dict()
        kind = fields.pop("model_type", self.backbone.config.model_type)
        sizes = {name: value for name, value in fields.items() if name not in NO_SIZES}
        return node_of(self, architecture=kind, sizes=sizes, freeze=self.frozen)


def _blank(architecture: str, sizes: Mapping[str, Any], told: Mapping[str, Any]) -> Any:
    fields = known_sizes(architecture, sizes)
    known = AutoConfig.for_model(architecture).to_dict()
    fields = {name: value for name, value in told.items() if name in known} | fields
    try:
        return AutoModel.from_config(AutoConfig.for_model(architecture, **fields))
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise ConfigError(
            f"sizes: no {architecture} can be built from them: {' '.join(str(error).split())}"
        ) from error


def _loaded(source: str, licence: str) -> Any:
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
