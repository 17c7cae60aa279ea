"""The folder of a saved scorer: what it learned, its node, the names of what it scores."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from llm_lab.config import build
from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError, RunError
from llm_lab.knowledge.triples import (
    ENTITIES,
    RELATIONS,
    Triples,
    read_names,
    read_triples,
    write_triples,
)
from llm_lab.models.folder import model_folder
from llm_lab.models.graph.scorer import Scorer
from llm_lab.tasks.artifact import FACTS, facts

CONFIG, NAMES = "config.json", "entities.tsv"
UNNAMED = "label"  # column of labels that are in no language


def write_scorer(
    folder: Path, *, model: Scorer, node: Mapping[str, Any], triples: Triples, spec: DataSpec, task: str
) -> None:
    """Write beside ``folder``, then rename.

    Line n of ``entities.txt`` and ``entities.tsv`` (identifier and labels, with a header) belongs to row n of the
    tensor ``entity`` in ``model.safetensors``; likewise for relations.

    Args:
        folder: where the model is to be; an older one there is replaced.
        model: what is saved.
        node: of the model in the config.
        triples: the graph, of which the names and the known answers are kept.
        spec: of the data.
        task: name of the task's class.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    write_triples(temporary, triples)
    model.write(temporary)
    _write_labels(temporary / NAMES, triples.entities, triples)
    _write_labels(temporary / "relations.tsv", triples.relations, triples)
    plain = {
        key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for key, value in node.items()
    }
    sizes = {"entities": model.entities, "relations": model.relations}
    config = {"architectures": [type(model).__name__], "model_type": "graph", **sizes, "model": plain}
    _write_json(temporary / CONFIG, config)
    _write_json(temporary / FACTS, facts(spec, task) | {"metrics_over": "realistic, filtered ranks"})
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def saved(
    *,
    spec: DataSpec,
    source: str,
    licence: str = "",
    wrappers: Mapping[str, Any] | None = None,
) -> Scorer:
    """A scorer as a run saved it.

    Args:
        spec: of the data; its entities and relations must be those of the model.
        source: URI or folder of a run or of its model.
        licence: of the weights.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: the data number other entities or relations.
    """
    del wrappers
    folder = model_folder(source, licence=licence)
    for file, what in ((ENTITIES, "entities"), (RELATIONS, "relations")):
        if read_names(folder / file) != read_names(spec.folder / file):
            raise ConfigError(f"{source} was trained on other {what} than these data have")
    return read_scorer(folder, spec)


def read_scorer(folder: Path, spec: DataSpec) -> Scorer:
    """The scorer of a folder of ours.

    Raises:
        RunError: it holds none.
    """
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("model_type") != "graph":
        raise RunError(f"{folder} holds no model of a graph")
    model = build(config["model"], expected=Scorer, key="model", spec=spec).served()
    model.read(folder)
    return model.eval()


def spec_of(folder: Path) -> DataSpec:
    """What a saved scorer needs to know of the data it was trained on."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return DataSpec(
        problem="triples",
        labels=(),
        sizes={},
        tokenizer=folder,
        max_length=3,
        fingerprint="",
        folder=folder,
        summary={name: config[name] for name in ("entities", "relations")},
    )


def triples_of(folder: Path) -> Triples:
    """Names and known answers that lie beside a saved scorer."""
    return read_triples(folder)


def _write_labels(file: Path, names: tuple[str, ...], triples: Triples) -> None:
    languages = sorted(triples.labels)
    lines = ["\t".join(["id", *(language or UNNAMED for language in languages)])]
    lines += [
        "\t".join(map(_in_one_cell, [name, *(triples.labels[one].get(name, "") for one in languages)]))
        for name in names
    ]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _in_one_cell(text: str) -> str:
    """A tab or a line break in a label would make another table of it."""
    return " ".join(text.split())


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
