"""What a pipeline file holds, and the words that each of its steps stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from llm_lab.assets.uri import RunUri
from llm_lab.config.compose import Composed, compose
from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean

GROUP = "pipeline"
SHARED = "shared"  # words of the command line that every step gets
PLACES = ("hydra.run.dir", "paths.")  # `run://` finds the steps in ./runs alone
_NO_TEXTS = ("null", "true", "false", "inf", "nan")  # unless they are quoted
_STEP = re.compile(r"\$\{step:\s*([^}]*?)\s*\}")


@dataclass(kw_only=True)
class Step:
    """A step of a pipeline file: an experiment to train, or the model of an earlier step to test again.

    Args:
        experiment: trained with the overrides.
        evaluate: the name of a step before this one.
        overrides: values and choices by their keys; ``${step:NAME}`` is the model of the step NAME.
    """

    experiment: str | None = None
    evaluate: str | None = None
    overrides: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A step with the words that it stands for; `trained` is what these compose, None of an evaluation."""

    name: str
    words: tuple[str, ...]
    trained: Composed | None = None
    evaluates: str = ""


def planned(words: Sequence[str], faults: list[Fault], **places: Any) -> list[Planned]:
    """The steps of the pipeline that the words choose, in the order of its file; faults are collected.

    Args:
        words: the pipeline's, ``pipeline=NAME`` and ``pipeline.STEP.overrides...``; all others are for every step.
        faults: what is wrong with the pipeline and with each of its steps is added here.
        places: `compose`'s own arguments.
    """
    from llm_lab.config.check import faults_of

    own = [word for word in words if word.lstrip("+~").startswith((f"{GROUP}=", f"{GROUP}."))]
    shared = [word for word in words if word not in own]
    faults += [_misplaced(word) for word in shared if word.lstrip("+~").startswith(PLACES)]
    pipeline = compose(own, **places)
    faults += faults_of(pipeline)
    node = pipeline.config.get(GROUP) or {}
    if faults or not node:
        return []
    with open_dict(pipeline.config):
        for step in node.values():
            step[SHARED] = shared
    found: dict[str, Planned] = {}
    for name, step in node.items():
        wrong = [*_wrong(str(name), step, found)]
        faults += wrong
        if not wrong:
            found[str(name)] = _planned(str(name), step, places)
            faults += [_of_step(str(name), fault) for fault in _faults(found[str(name)])]
    return list(found.values())


def _misplaced(word: str) -> Fault:
    message = "the steps of a pipeline lie in ./runs, where `run://` finds them"
    return Fault(key=word.lstrip("+~").partition("=")[0], message=message, where=word)


def _wrong(name: str, step: DictConfig, before: Mapping[str, Planned]) -> Iterator[Fault]:
    key = f"{GROUP}.{name}"
    if (step.get("experiment") is None) == (step.get("evaluate") is None):
        yield Fault(key=key, message="a step has either an `experiment` or the step that it is to `evaluate`")
        return
    trained = [other for other, one in before.items() if one.trained]
    for wanted in _steps_named(step):
        if wanted not in trained:
            message = f"no step before this one trains `{wanted}`"
            yield Fault(key=key, message=message, suggestion=did_you_mean(wanted, trained))


def _steps_named(step: DictConfig) -> list[str]:
    """The steps that this one evaluates or refers to by ``${step:NAME}``."""
    written = str(OmegaConf.to_container(step, resolve=False))
    return [*filter(None, [step.get("evaluate")]), *_STEP.findall(written)]


def _planned(name: str, step: DictConfig, places: Mapping[str, Any]) -> Planned:
    if step.get("evaluate"):
        chosen = [word for word in step[SHARED] if word.startswith("+debug=")]
        return Planned(name=name, words=(*chosen, *_own_words(step)), evaluates=step.evaluate)
    words = tuple(_words(step))
    return Planned(name=name, words=words, trained=compose(words, **places))


def _faults(step: Planned) -> list[Fault]:
    from llm_lab.config.check import faults_of

    return faults_of(step.trained) if step.trained else []


def _of_step(name: str, fault: Fault) -> Fault:
    return replace(fault, key=f"{GROUP}.{name}: {fault.key}" if fault.key else f"{GROUP}.{name}")


def model_of(name: str, root: DictConfig) -> str:
    """The URI of the model that a step trains; raises KeyError for a step that is not there."""
    step = (root.get(GROUP) or {}).get(name)
    if step is None or step.get("experiment") is None:
        raise KeyError(f"no step `{name}` that trains; {did_you_mean(name, map(str, root.get(GROUP) or ()))}")
    words = [
        word for word in _words(step)[1:] if not word.startswith("+debug=")
    ]  # which `run://` adds itself
    return str(RunUri(experiment=step.experiment, overrides=tuple(words), path="model"))


def _words(step: DictConfig) -> list[str]:
    """The words that train a step; its own overrides stand in the place of what all steps get."""
    shared = {word.lstrip("+").partition("=")[0]: word for word in step.get(SHARED) or ()}
    own = {word.lstrip("+").partition("=")[0]: word for word in _own_words(step)}
    return [f"+experiment={step.experiment}", *(shared | own).values()]


def _own_words(step: DictConfig) -> list[str]:
    plain = OmegaConf.to_container(step, resolve=True)
    overrides = plain.get("overrides") if isinstance(plain, dict) else None
    return [f"{key}={_text(value)}" for key, value in _flat(overrides or {})]


def _flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values; `{optimizer: {lr: 1}}` and `{optimizer.lr: 1}` say the same."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    """A plain value in Hydra's grammar of overrides."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_text(item)}' for key, item in value.items())}}}"
    if isinstance(value, str) and (not value.isidentifier() or value in _NO_TEXTS):
        quoted = value.replace("'", r"\'")
        return f"'{quoted}'"
    return str(value)
