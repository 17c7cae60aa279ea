"""Test a run's artifact again, on its own data or on other data."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from rich.console import Console

from llm_lab.config import build
from llm_lab.config.compose import compose
from llm_lab.config.fault import FaultsError
from llm_lab.config.run_hash import run_hash
from llm_lab.config.schema import GROUPS
from llm_lab.config.unknown import propose
from llm_lab.config.words import OUTSIDE, Words
from llm_lab.data.module import DataModule
from llm_lab.data.spec import DataSpec
from llm_lab.data.tags import kinds_in
from llm_lab.errors import ConfigError, RunError
from llm_lab.modes.quiet import hush
from llm_lab.modes.run import MODEL, stored_config
from llm_lab.modes.train import build_task
from llm_lab.modes.trainer import precision_of, use_processor
from llm_lab.tasks.artifact import FACTS
from llm_lab.tracking.files import write_json
from llm_lab.tracking.summary import summary_table

EVALUATIONS = "evaluations"
READER = "reader.json"  # lies beside an encoder that reads questions over a graph
SAVED = {
    "graph": "llm_lab.models.graph.saved.saved",
    "llm_lab_fusion": "llm_lab.models.fusion.model.saved",
    "llm_lab_whisper": "llm_lab.models.audio.whole.whisper",
}
LABELLED = ("single_label", "multi_label", "tokens")


def evaluate(directory: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the test metrics of the run's saved model; also kept in ``evaluations/`` of the run.

    Args:
        directory: a run directory with an artifact.
        overrides: choices and values of the stored config to change: ``data=film_reviews``,
            ``data.source=file://other.csv``.

    Raises:
        RunError: no artifact, or its labels are not those of the data.
        ConfigError: an override names no key of the stored config.
    """
    began = time.monotonic()
    config = overridden(stored_config(directory), overrides)
    digest = run_hash(config)
    if not (directory / MODEL / "config.json").is_file():
        raise RunError(f"{directory} has no model yet; `llm_lab resume {directory}` finishes the run")
    if any(word.startswith("data") for word in overrides):
        _take_over(config.data, directory)
    hush(log_file=False)
    use_processor()
    data = build(config.data, expected=DataModule, key="data")
    spec = data.prepare()
    if not spec.sizes.get("test"):
        raise RunError(f"{directory}: the data has no test split to evaluate on")
    _check_labels(directory, spec)
    config.model = {**_artifact(directory)}
    task = build_task(config, spec)
    trainer = Trainer(
        precision=precision_of(config.trainer),  # type: ignore[arg-type]
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        accelerator=config.trainer.accelerator,
        devices=1,
    )
    trainer.test(task, data, verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    (directory / EVALUATIONS).mkdir(exist_ok=True)
    write_json(
        directory / EVALUATIONS / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}.json",
        {"hash": digest, "words": list(overrides), "metrics": metrics, "seconds": time.monotonic() - began},
    )
    return metrics


def _artifact(directory: Path) -> dict[str, Any]:
    """The model node of the saved folder: its weights and tokenizer, wrappers already merged."""
    kind = json.loads((directory / MODEL / "config.json").read_text(encoding="utf-8")).get("model_type")
    loader = SAVED.get(str(kind), "llm_lab.models.text.pretrained")
    if (directory / MODEL / READER).is_file():
        loader = "llm_lab.models.graph.reader_folder.saved_reader"
    return {
        "_target_": loader,
        "source": str((directory / MODEL).resolve()),
        "wrappers": {},
    }


def _take_over(data: DictConfig, directory: Path) -> None:
    """The model's own tokenizer and labels: those of other rows would be numbered otherwise."""
    if data.get("tokenizer") is not None:
        source = f"file://{(directory / MODEL).resolve()}"
        data.tokenizer = {"_target_": "llm_lab.data.tokenizers.Pretrained", "source": source}
    if "fitted" in data:
        data.fitted = f"file://{(directory / MODEL).resolve()}"
    known = _known(directory)
    if known and "labels" in data and data.labels is None:
        data.labels = known if _facts(directory)["problem"] != "tokens" else kinds_in(known)


def _check_labels(directory: Path, spec: DataSpec) -> None:
    """Refuse data whose labels are other ones than the model's, or in another order."""
    known, found = _known(directory), list(spec.labels)
    if known and found != known:
        pairs = itertools.zip_longest(known, found)
        number, (own, other) = next((n, pair) for n, pair in enumerate(pairs) if pair[0] != pair[1])
        raise RunError(
            f"{directory}: label {number} is {_quoted(own)} to the model and {_quoted(other)} in the data; its labels "
            f"are {', '.join(known)} (data.labels names those of the data, in their order)"
        )


def _known(directory: Path) -> list[str]:
    """Names of the model's outputs; none where an output is no label."""
    facts = _facts(directory)
    return list(facts.get("labels") or ()) if facts["problem"] in LABELLED else []


def _facts(directory: Path) -> dict[str, Any]:
    return dict(json.loads((directory / MODEL / FACTS).read_text(encoding="utf-8")))


def _quoted(label: str | None) -> str:
    return "none" if label is None else f"`{label}`"


def overridden(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The stored config of a run with other choices and values.

    Raises:
        ConfigError: an override names no key of the stored config, or no choice, or a choice leaves a value open.
    """
    choosing = [word for word in overrides if _chooses(word)]
    composed = compose(choosing) if choosing else None
    if composed and composed.faults:
        raise FaultsError(faults=composed.faults)
    chosen = [group for group in (word.partition("=")[0] for word in choosing) if group in config]
    for group in chosen:
        if composed:
            config[group] = OmegaConf.to_container(composed.config[group], resolve=False)
    for word in (word for word in overrides if word not in choosing):
        key, _, value = word.lstrip("+").partition("=")
        parent, _, name = key.rpartition(".")
        holder = OmegaConf.select(config, parent) if parent else config
        if not isinstance(holder, DictConfig) or name not in holder.keys():  # noqa: SIM118 - `in` overlooks `???`
            near = propose(config, key)
            raise ConfigError(
                f"{key}: the stored config of the run has no such key" + (f"; {near}" if near else "")
            )
        OmegaConf.update(config, key, OmegaConf.create(f"v: {value}").v)
    if missing := sorted(key for group in chosen for key in OmegaConf.missing_keys(config[group])):
        raise ConfigError(f"{missing[0]}: a value is missing; add {missing[0]}=... behind the run")
    return config


def _chooses(word: str) -> bool:
    """Whether a word takes another choice of a group, ``data=film_reviews``, or adds one, ``+debug=smoke``."""
    group = word.lstrip("+").partition("=")[0]
    return group in OUTSIDE or (group in GROUPS and not GROUPS[group].plain)


def earlier(directory: Path, overrides: Sequence[str]) -> dict[str, Any] | None:
    """What the last evaluation of this run by the same config found, as it is kept; None where there is none."""
    wanted = run_hash(overridden(stored_config(directory), overrides))
    for file in sorted((directory / EVALUATIONS).glob("*.json"), reverse=True):
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept.get("hash") == wanted:
            return dict(kept)
    return None


def main(words: Words) -> int:
    """`llm_lab evaluate RUN [key=value ...]`."""
    metrics = evaluate(Path(words.positionals[0]), list(words.overrides))
    Console().print(summary_table(metrics, {}))
    return 0
