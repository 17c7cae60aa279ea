"""Any model of sounds that transformers has, by its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import AutoConfig

from llm_lab.data.spec import DataSpec
from llm_lab.errors import AssetError
from llm_lab.models.audio.spectrogram import TYPES, Spectrogram
from llm_lab.models.audio.speech import Speech
from llm_lab.models.folder import model_folder
from llm_lab.models.tower import Tower


def hub(
    *,
    column: Mapping[str, Any],
    source: str,
    licence: str = "",
    freeze: bool = False,
    spec: DataSpec | None = None,
) -> Tower:
    """The tower that reads what the model reads: samples, or a spectrogram.

    Args:
        column: of the data.
        source: URI or folder of a model with safetensors weights.
        licence: of the weights.
        freeze: whether its weights stay as they are.
        spec: of the data; not needed.

    Raises:
        AssetError: the source cannot be loaded.
        ConfigError: a model that reads neither, or data of another kind.
    """
    del spec
    try:
        kind = AutoConfig.from_pretrained(model_folder(source, licence=licence)).model_type
    except (OSError, ValueError) as error:
        raise AssetError(f"source: {source} is no model: {' '.join(str(error).split())}") from error
    tower = Spectrogram if kind in TYPES else Speech
    return tower(column=column, source=source, licence=licence, freeze=freeze)
