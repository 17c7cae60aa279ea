"""Text models with the head that a task asks for: pretrained from any source, or from scratch by their sizes.

Every function takes the whole ``model`` node, because its signature is the node's schema: ``tokenizer`` is
built by the data module and ``wrappers`` are applied by the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PreTrainedModel

from llm_lab.data.spec import DataSpec
from llm_lab.errors import AssetError, ConfigError
from llm_lab.models.adapted import attach, base_of
from llm_lab.models.classifier import Pooling, blank, check_fit, configure, load
from llm_lab.models.folder import model_folder
from llm_lab.models.freeze import Freeze, freeze_parameters
from llm_lab.models.heads import Head
from llm_lab.models.numbering import check_numbers
from llm_lab.models.sizes import known_sizes, vocabulary


def pretrained(
    *,
    spec: DataSpec,
    head: Head = Head.SEQUENCE_CLASSIFICATION,
    source: str,
    tokenizer: Mapping[str, Any] | None = None,
    licence: str = "",
    pooling: Pooling = None,
    dropout: float | None = None,
    freeze: Freeze = None,
    wrappers: Mapping[str, Any] | None = None,
) -> PreTrainedModel:
    """A pretrained model; a head that its folder does not hold is new.

    Args:
        spec: labels and tokenizer of the data.
        head: what the task needs on top.
        source: URI or folder of a Hugging Face model with safetensors weights.
        tokenizer: node of the tokenizer, for the data module.
        licence: licence of the weights, shown before a download and in the report.
        pooling: None keeps the model's own head, and so does ``cls`` (first token for BERT, last for a
            decoder) but for architectures that let one choose; ``mean`` and ``max`` pool over the last hidden
            states, see `llm_lab.models.pooled`.
        dropout: sets every dropout of the model; None keeps those of its configuration.
        freeze: see `llm_lab.models.freeze.freeze_parameters`.
        wrappers: model wrappers by name, for the task.

    Raises:
        AssetError: the source holds no configuration or no safetensors weights that transformers can load.
        ConfigError: the tokenizer or the length of the rows does not fit the model.
    """
    del tokenizer, wrappers
    folder = model_folder(source, licence=licence)
    check_numbers(folder, spec, source)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        config = configure(config, spec=spec, head=head, pooling=pooling, dropout=dropout)
        model = attach(load(base_of(folder), config, head, pooling), folder)
    except (OSError, ValueError, KeyError, RuntimeError, StrictDataclassError) as error:
        raise AssetError(
            f"model.source: transformers cannot load {source} ({folder}): {_line(error)}"
        ) from error
    check_fit(model, spec)
    freeze_parameters(model, freeze)
    return model.train()  # from_pretrained leaves dropout off, and Lightning keeps the mode it finds


def from_scratch(
    *,
    spec: DataSpec,
    head: Head = Head.SEQUENCE_CLASSIFICATION,
    architecture: str,
    sizes: Mapping[str, Any],
    init_from: str | None = None,
    tokenizer: Mapping[str, Any] | None = None,
    pooling: Pooling = None,
    dropout: float | None = None,
    freeze: Freeze = None,
    wrappers: Mapping[str, Any] | None = None,
) -> PreTrainedModel:
    """A model with random weights, its vocabulary as large as the tokenizer's.

    Args:
        spec: labels and tokenizer of the data.
        head: what the task needs on top.
        architecture: a model type of transformers with such a head: ``bert``, ``modernbert``, ``gpt2``.
        sizes: fields of that type's configuration: ``hidden_size``, ``num_hidden_layers`` and so on.
        init_from: URI or folder of a model of the same architecture and sizes whose weights it starts from, to
            go on pretraining on other text.
        tokenizer: node of the tokenizer, for the data module.
        pooling: as for `pretrained`.
        dropout: as for `pretrained`.
        freeze: as for `pretrained`.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: transformers does not know the architecture, or a size does not belong to it or fit it, or
            the tokenizer is not that of ``init_from``.
    """
    del tokenizer, wrappers
    fields = known_sizes(architecture, sizes) | vocabulary(spec)
    try:
        config = AutoConfig.for_model(architecture, **fields)
        config = configure(config, spec=spec, head=head, pooling=pooling, dropout=dropout)
        model = blank(config, head, pooling)
    except (ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise ConfigError(f"model.sizes: no {architecture} can be built from them: {_line(error)}") from error
    if init_from is not None:
        folder = model_folder(init_from)
        check_numbers(folder, spec, init_from, "model.init_from")
        model = _started(folder, init_from, config, head, pooling).train()
    check_fit(model, spec)
    freeze_parameters(model, freeze)
    return model


def _started(folder: Path, source: str, config: Any, head: Head, pooling: Pooling) -> PreTrainedModel:
    try:
        return load(folder, config, head, pooling)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise AssetError(f"model.init_from: {source} does not fit model.sizes: {_line(error)}") from error


def _line(error: Exception) -> str:
    """What the libraries say over many lines."""
    return " ".join(str(error).split())
