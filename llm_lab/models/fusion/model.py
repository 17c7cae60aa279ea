"""From towers, a fusion and the data's inputs to one model; or from a saved one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import AutoTokenizer, PreTrainedModel

from llm_lab.config import build
from llm_lab.data.multimodal.transcripts import end_of
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError, RunError
from llm_lab.models.adapted import attach, base_of
from llm_lab.models.classifier import PROBLEM_TYPES
from llm_lab.models.feature_cache import DEFAULT, FeatureCache
from llm_lab.models.folder import model_folder
from llm_lab.models.fusion.captioner import FusionForCausalLM
from llm_lab.models.fusion.saved import FusionConfig, FusionForSequenceClassification, FusionModel, Towers
from llm_lab.models.fusion.transcribing import FusionForCTC, FusionForSpeechSeq2Seq
from llm_lab.models.heads import Head
from llm_lab.models.tower import Tower

CLASSES: dict[Head, type[Towers]] = {
    Head.SEQUENCE_CLASSIFICATION: FusionForSequenceClassification,
    Head.ENCODER: FusionModel,
    Head.CAUSAL_LM: FusionForCausalLM,
    Head.CTC: FusionForCTC,
    Head.SPEECH_TO_TEXT: FusionForSpeechSeq2Seq,
}
PREPARED = ("size", "channels", "resize", "mean", "std", "rate", "features", "mels", "window", "hop")
log = logging.getLogger(__name__)
OWN = {
    "number": {"_target_": "llm_lab.models.tabular.Numbers"},
    "category": {"_target_": "llm_lab.models.tabular.Categories"},
}


def fused(  # noqa: PLR0913 - the signature is the schema
    *,
    spec: DataSpec,
    head: Head = Head.SEQUENCE_CLASSIFICATION,
    text: Mapping[str, Any] | None = None,
    image: Mapping[str, Any] | None = None,
    audio: Mapping[str, Any] | None = None,
    fusion: Mapping[str, Any] | None = None,
    language: Mapping[str, Any] | None = None,
    decoder: Mapping[str, Any] | None = None,
    towers: Mapping[str, Any] | None = None,
    width: int = 128,
    dropout: float = 0.1,
    modality_dropout: float = 0.0,
    cache: float | None = None,
    wrappers: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A tower for each input of the data, by its kind, and their fusion; or a language model that goes on from them.

    Args:
        spec: of the data, with its inputs.
        head: what the task needs on top.
        text: node of the `Tower` of every text.
        image: of every picture.
        audio: of every sound; numbers and categories need none.
        fusion: node of a `Fusion`; classification needs one.
        language: node of a text model with a causal head, for captions; wrappers in it are left out.
        decoder: sizes of what writes texts, see `FusionForSpeechSeq2Seq`.
        towers: nodes of single inputs by name, which go before those of their kind.
        width: of the tokens that fusion gets.
        dropout: before the last layer.
        modality_dropout: probability with which a row lacks an input in training.
        cache: gigabytes on disk for what frozen towers make, computed once; None is 8, 0 keeps nothing.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: data without inputs, a kind without a tower, or no fusion or language model where one is needed.
    """
    del wrappers
    _check(spec, head, fusion)
    made = _towers(spec, {"text": text, "image": image, "audio": audio, **OWN}, towers or {})
    writer = _language(language, spec) if head is Head.CAUSAL_LM else None
    config = FusionConfig(
        inputs={name: dict(facts) for name, facts in spec.inputs.items()},
        towers={name: tower.saved() for name, tower in made.items()},
        fusion=dict(fusion or {}),
        language=None if writer is None else writer.config.to_dict(),
        decoder=dict(decoder or {}),
        vocabulary=vocabulary_of(spec) if spec.problem == "transcript" else {},
        width=width,
        dropout=dropout,
        modality_dropout=modality_dropout,
        **labelling(spec),
    )
    model = CLASSES[head](config)
    for name, tower in made.items():
        model.towers[name] = tower
    if isinstance(model, FusionForCausalLM):
        model.language = writer
    return _keeping(model, spec, cache).train()


def _check(spec: DataSpec, head: Head, fusion: Mapping[str, Any] | None) -> None:
    if head not in CLASSES:
        raise ConfigError(f"model: towers with a fusion have no head for {head.value}")
    if not spec.inputs:
        raise ConfigError("model: data with several kinds of columns are wanted, such as `data=multimodal`")
    if fusion is None and head is Head.SEQUENCE_CLASSIFICATION:
        raise ConfigError("model.fusion: classification needs one, such as `model/fusion=concat`")


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


def _language(node: Mapping[str, Any] | None, spec: DataSpec) -> PreTrainedModel:
    if node is None:
        raise ConfigError("model.language: nothing writes; take a language model by `model/language=`")
    made: PreTrainedModel = build(
        node, expected=PreTrainedModel, key="model.language", spec=spec, head=Head.CAUSAL_LM
    )
    made.pretrained = node.get("source") is not None  # as towers say it
    return made


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


def vocabulary_of(spec: DataSpec) -> dict[str, int]:
    """What a model that writes texts has to know of the tokens: padding stands for no symbol."""
    tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer, trust_remote_code=False)
    longest = 2 * int(spec.summary.get("longest_target", spec.max_length))  # other texts may be longer
    ends = {"none": int(tokenizer.pad_token_id), "end": end_of(tokenizer)}
    return {"size": len(tokenizer), **ends, "longest": longest}


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
    tokenizer: Mapping[str, Any] | None = None,
    cache: float | None = None,
    wrappers: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A model that a run saved.

    Args:
        spec: of the data, which must have the model's inputs.
        head: what the task needs on top.
        source: URI or folder of a run or of its model.
        tokenizer: node of its tokenizer, for the data module.
        cache: see `fused`.
        wrappers: model wrappers by name, for the task.

    Raises:
        RunError: the data lack an input.
    """
    del wrappers, tokenizer
    folder = model_folder(source)
    model = attach(head.auto_class.from_pretrained(base_of(folder), trust_remote_code=False), folder)
    for part in (*model.towers.values(), getattr(model, "language", None)):
        if part is not None:
            part.pretrained = True
    lacking = [name for name in model.config.inputs if name not in spec.inputs]
    if lacking:
        raise RunError(f"{source}: the data have no input `{lacking[0]}`, which the model reads")
    warn_of_changes(model.config, spec, source)
    return _keeping(model, spec, cache).train()


def warn_of_changes(config: FusionConfig, spec: DataSpec, source: str) -> None:
    """Say where the data prepare an input otherwise than those that the model was trained on."""
    for name in spec.inputs.keys() & config.inputs.keys():
        now, before = dict(spec.inputs[name]), config.inputs[name]
        for key in PREPARED:
            if now.get(key) != before.get(key):
                log.warning(
                    "%s was trained with data.columns.%s.%s=%s, now it is %s",
                    source, name, key, before.get(key), now.get(key),
                )  # fmt: skip
