"""From towers, a fusion and the data's inputs to one model; or from a saved one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError, RunError
from llm_lab.models.adapted import attach, base_of
from llm_lab.models.classifier import PROBLEM_TYPES
from llm_lab.models.feature_cache import DEFAULT, FeatureCache
from llm_lab.models.folder import model_folder
from llm_lab.models.fusion.saved import FusionConfig, FusionForSequenceClassification, FusionModel, Towers
from llm_lab.models.heads import Head
from llm_lab.models.tower import Tower

CLASSES: dict[Head, type[Towers]] = {
    Head.SEQUENCE_CLASSIFICATION: FusionForSequenceClassification,
    Head.ENCODER: FusionModel,
}
OWN = {
    "number": {"_target_": "llm_lab.models.tabular.Numbers"},
    "category": {"_target_": "llm_lab.models.tabular.Categories"},
}


def fused(
    *,
    spec: DataSpec,
    head: Head = Head.SEQUENCE_CLASSIFICATION,
    text: Mapping[str, Any] | None = None,
    image: Mapping[str, Any] | None = None,
    audio: Mapping[str, Any] | None = None,
    fusion: Mapping[str, Any],
    towers: Mapping[str, Any] | None = None,
    width: int = 128,
    dropout: float = 0.1,
    modality_dropout: float = 0.0,
    cache: float | None = None,
    wrappers: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A tower for each input of the data, by its kind, and their fusion.

    Args:
        spec: of the data, with its inputs.
        head: what the task needs on top.
        text: node of the `Tower` of every text.
        image: of every picture.
        audio: of every sound; numbers and categories need none.
        fusion: node of a `Fusion`.
        towers: nodes of single inputs by name, which go before those of their kind.
        width: of the tokens that fusion gets.
        dropout: before the last layer.
        modality_dropout: probability with which a row lacks an input in training.
        cache: gigabytes on disk for what frozen towers make of inputs that are not augmented, so that it is computed
            once; None is 8, 0 keeps nothing. Results are the same.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: data without inputs, or a kind without a tower.
    """
    del wrappers
    if head not in CLASSES:
        raise ConfigError(f"model: towers with a fusion have no head for {head.value}")
    if not spec.inputs:
        raise ConfigError("model: data with several kinds of columns are wanted, such as `data=multimodal`")
    made = _towers(spec, {"text": text, "image": image, "audio": audio, **OWN}, towers or {})
    config = FusionConfig(
        inputs={name: dict(facts) for name, facts in spec.inputs.items()},
        towers={name: tower.saved() for name, tower in made.items()},
        fusion=dict(fusion),
        width=width,
        dropout=dropout,
        modality_dropout=modality_dropout,
        **labelling(spec),
    )
    model = CLASSES[head](config)
    for name, tower in made.items():
        model.towers[name] = tower
    return _keeping(model, spec, cache).train()


def _keeping(model: Towers, spec: DataSpec, gigabytes: float | None) -> Towers:
    """The model with a cache for each frozen tower."""
    most = DEFAULT if gigabytes is None else gigabytes
    model.caches = {
        name: FeatureCache(
            identity={"data": spec.fingerprint, "input": dict(spec.inputs[name])}, gigabytes=most
        )
        for name, tower in model.towers.items()
        if tower.frozen
    }
    return model


def _towers(
    spec: DataSpec, kinds: Mapping[str, Mapping[str, Any] | None], named: Mapping[str, Mapping[str, Any]]
) -> dict[str, Tower]:
    """The tower of each input: the one that is named for it, else that of its kind."""
    made = {}
    for name, facts in spec.inputs.items():
        kind = str(facts["kind"])
        node = named.get(name) or kinds[kind]
        if node is None:
            raise ConfigError(
                f"model.{kind}: `{name}` is of this kind and has no tower; take one by `model/{kind}=`"
            )
        made[name] = build(node, expected=Tower, key=f"model.{name}", column=facts, spec=spec)
        made[name].pretrained = node.get("source") is not None
    return made


def labelling(spec: DataSpec) -> dict[str, Any]:
    """Label names and the problem where transformers looks for them."""
    return {
        "id2label": dict(enumerate(spec.labels)),
        "label2id": {label: number for number, label in enumerate(spec.labels)},
        "problem_type": PROBLEM_TYPES.get(spec.problem),
    }


def saved(
    *,
    spec: DataSpec,
    head: Head = Head.SEQUENCE_CLASSIFICATION,
    source: str,
    cache: float | None = None,
    wrappers: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A model that a run saved.

    Args:
        spec: of the data, which must have the model's inputs.
        head: what the task needs on top.
        source: URI or folder of a run or of its model.
        cache: see `fused`.
        wrappers: model wrappers by name, for the task.

    Raises:
        RunError: the data lack an input.
    """
    del wrappers
    folder = model_folder(source)
    model = attach(head.auto_class.from_pretrained(base_of(folder), trust_remote_code=False), folder)
    for tower in model.towers.values():
        tower.pretrained = True
    lacking = [name for name in model.config.inputs if name not in spec.inputs]
    if lacking:
        raise RunError(f"{source}: the data have no input `{lacking[0]}`, which the model reads")
    return _keeping(model, spec, cache).train()
