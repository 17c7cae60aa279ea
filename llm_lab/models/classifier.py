"""From a configuration of transformers to a model with the head of a task that fits the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from torch import nn
from transformers import AutoTokenizer, PreTrainedModel

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.heads import Head
from llm_lab.models.pooled import PooledConfig, PooledForSequenceClassification, without_pooler
from llm_lab.models.structure import layer_stack, parameter_depths

Pooling = Literal["cls", "mean", "max"] | None
PROBLEM_TYPES = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}


def configure(config: Any, *, spec: DataSpec, head: Head, pooling: Pooling, dropout: float | None) -> Any:
    """Put label names, problem type, pooling and dropout where any user of transformers finds them.

    An encoder that is to foresee the next token becomes a decoder, for whoever loads it, too: it sees no later ones.
    """
    if head is Head.CAUSAL_LM and hasattr(config, "is_decoder"):
        config.is_decoder = True
    if spec.labels:
        config.id2label = dict(enumerate(spec.labels))
        config.label2id = {label: number for number, label in enumerate(spec.labels)}
    config.problem_type = PROBLEM_TYPES.get(spec.problem)
    if isinstance(config, PooledConfig):
        config.pooling = pooling or config.pooling
    elif hasattr(config, "classifier_pooling") and pooling in {"cls", "mean"}:
        config.classifier_pooling = pooling
    if dropout is not None:
        _set_dropout(config, dropout)
    return config


def _set_dropout(config: Any, rate: float) -> None:
    for field in _dropouts(config.to_dict()):
        setattr(config, field, rate)
    config.classifier_dropout = rate  # of the pooling head, where the architecture has no such field
    if isinstance(config, PooledConfig):
        config.backbone |= dict.fromkeys(_dropouts(config.backbone), rate)


def _dropouts(fields: Mapping[str, Any]) -> list[str]:
    named = [name for name in fields if "dropout" in name or name.endswith("_pdrop")]
    return [name for name in named if not isinstance(fields[name], bool)]


def blank(config: Any, head: Head, pooling: Pooling) -> PreTrainedModel:
    """A model with random weights: transformers' own class where it knows the pooling, else ours.

    Attention is left to transformers, which takes PyTorch's fused kernel (SDPA) where the architecture can.
    """
    if _is_plain(config, head, pooling):
        return head.auto_class.from_config(config, trust_remote_code=False)
    return PooledForSequenceClassification(_pooled_config(config, pooling))


def load(folder: Path, config: Any, head: Head, pooling: Pooling) -> PreTrainedModel:
    """The same with the weights of a folder, in single precision and from safetensors only."""
    safely = {
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": True,
        "dtype": "float32",
    }
    plain = _is_plain(config, head, pooling)
    loaded, info = (head if plain else Head.ENCODER).auto_class.from_pretrained(
        folder, config=config, output_loading_info=True, ignore_mismatched_sizes=True, **safely
    )
    _check_complete(loaded, {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])})
    if plain:
        return loaded
    model = PooledForSequenceClassification(_pooled_config(config, pooling))
    model.backbone = without_pooler(loaded)
    return model


def _check_complete(model: PreTrainedModel, missing: Iterable[str]) -> None:
    """A head may be new, but a layer left with random weights means that the file is of another model."""
    depths, top = parameter_depths(model), len(layer_stack(model)[1])
    lost = sorted(name for name in missing if depths.get(name, top + 1) <= top)
    if lost:
        raise ValueError(f"the weights of {len(lost)} parameters are missing, {lost[0]} for one")


def check_fit(model: PreTrainedModel, spec: DataSpec) -> None:
    """Refuse a tokenizer or rows that would index past the model's embeddings.

    Raises:
        ConfigError: names the key to change and the largest value that fits.
    """
    words = model.get_input_embeddings().num_embeddings
    tokens = len(AutoTokenizer.from_pretrained(spec.tokenizer))
    if tokens > words:
        raise ConfigError(
            f"model.tokenizer: it has {tokens} tokens, but the model embeds only {words}; take the tokenizer of "
            "the weights (model.tokenizer.source), or a model built to this tokenizer"
        )
    places = _places(model)
    if places is not None and spec.max_length > places:
        raise ConfigError(f"data.max_length: {spec.max_length} tokens, but the model takes at most {places}")


def _places(model: PreTrainedModel) -> int | None:
    """Tokens for which a model has places: rows of its table, or what a rotary one was made for; None is any number.

    RoBERTa numbers its places from behind the one that stands for padding.
    """
    parts = [part for name, part in model.named_modules() if name.endswith(("position_embeddings", ".wpe"))]
    tables = [part for part in parts if isinstance(part, nn.Embedding)]
    if tables:
        return min(
            table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
            for table in tables
        )
    found = getattr(model.config, "max_position_embeddings", None)
    return int(found) if found else None


def _is_plain(config: Any, head: Head, pooling: Pooling) -> bool:
    if head is not Head.SEQUENCE_CLASSIFICATION:
        return True
    own = isinstance(config, PooledConfig) or (pooling == "mean" and hasattr(config, "classifier_pooling"))
    return own or pooling in {None, "cls"}


def _pooled_config(config: Any, pooling: Pooling) -> PooledConfig:
    rate = getattr(config, "classifier_dropout", None)
    rate = float(getattr(config, "hidden_dropout_prob", 0.1) if rate is None else rate)
    return PooledConfig(
        backbone=config.to_dict(),
        pooling=pooling or "mean",
        classifier_dropout=rate,
        id2label=config.id2label,
        label2id=config.label2id,
        problem_type=config.problem_type,
        pad_token_id=config.pad_token_id,
    )
