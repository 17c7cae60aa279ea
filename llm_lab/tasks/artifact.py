"""The folder that outlives a run: weights, tokenizer, label names and what they were made from."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoTokenizer, PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME

from llm_lab.data.source_data import TRANSFORMS
from llm_lab.data.spec import DataSpec
from llm_lab.errors import RunError
from llm_lab.models import wrapper
from llm_lab.models.adapted import BASE
from llm_lab.peft.bottleneck import is_adapted
from llm_lab.peft.saved import gather_adapter, without_adapter, write_adapter
from llm_lab.strategies.auto import Auto
from llm_lab.strategies.parallel import Parallel
from llm_lab.strategies.stream import Entry, write_stream
from llm_lab.tasks.segments import input_names

FACTS = "llm_lab.json"
PACKAGES = ("llm-lab", "torch", "transformers", "tokenizers", "pytorch-lightning")


def write_artifact(
    folder: Path,
    *,
    model: nn.Module,
    wrappers: Sequence[wrapper.Wrapper],
    spec: DataSpec,
    task: str,
    parallel: Parallel | None = None,
    rank: int = 0,
    exported: Callable[[nn.Module], nn.Module] = lambda module: module,
) -> None:
    """Write safetensors, configuration, tokenizer and ``llm_lab.json`` beside ``folder``, then rename.

    Every rank calls this; the first one writes. A model that lies in parts over the ranks is gathered tensor by
    tensor into one file, and never whole in the memory of a process.

    Args:
        folder: where the artifact is to be; an older one there is replaced.
        model: the wrapped model; stays as it is, but for a model in parts whose wrappers write into weights.
        wrappers: what to merge away before the weights are written.
        spec: labels, tokenizer and length of the data.
        task: name of the task's class.
        parallel: how the model lies over the ranks; None for one process.
        rank: of this process.
        exported: takes from the unwrapped model what is written.

    Raises:
        RunError: a wrapper leaves something that transformers cannot save.
    """
    in_parts = parallel is not None and parallel.shards
    if rank != 0 and not in_parts:
        return
    writes = any(one.writes_weights for one in wrappers)
    twin = copy.deepcopy(model) if writes and not in_parts else wrapper.outline(model)
    merged = exported(wrapper.merge(wrappers, twin))
    if parallel is not None and in_parts and is_adapted(merged):
        gather_adapter(merged, parallel)
    plain = without_adapter(merged) if is_adapted(merged) else merged
    if not isinstance(plain, PreTrainedModel):
        raise RunError(f"{folder}: a {type(plain).__name__} is left after merging, no model of transformers")
    entries = (parallel or Auto()).entries(plain)
    if rank == 0:
        _write(folder, plain, entries, spec, task, merged)
    else:
        write_stream(entries, None)


def _write(
    folder: Path,
    plain: PreTrainedModel,
    entries: Sequence[Entry],
    spec: DataSpec,
    task: str,
    merged: nn.Module,
) -> None:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    home = temporary if merged is plain else temporary / BASE
    home.mkdir(parents=True)
    write_stream(entries, home / SAFE_WEIGHTS_NAME)
    _save_config(plain, entries, home)
    if merged is not plain:  # an adapter that cannot be merged lies beside its model
        write_adapter(merged, temporary)
        plain.config.save_pretrained(temporary)
    if spec.tokenizer.is_dir():  # what reads no text has none
        tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer, model_input_names=input_names(plain.config))
        tokenizer.model_max_length = limit(spec)
        for place in {home, temporary}:
            tokenizer.save_pretrained(place)
    text = json.dumps(facts(spec, task), indent=2, ensure_ascii=False)
    (temporary / FACTS).write_text(text + "\n", encoding="utf-8")
    if (spec.folder / TRANSFORMS).is_dir():
        shutil.copytree(spec.folder / TRANSFORMS, temporary / TRANSFORMS)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def _save_config(plain: PreTrainedModel, entries: Sequence[Entry], folder: Path) -> None:
    """What ``save_pretrained`` writes beside the weights; that one imports DeepSpeed wherever it is installed."""
    dtype = next(entry.dtype for entry in entries if entry.dtype.is_floating_point)
    plain.config.dtype = str(dtype).removeprefix("torch.")
    plain.config.architectures = [type(plain).__name__]
    plain.config.save_pretrained(folder)
    if plain.can_generate():
        plain.generation_config.save_pretrained(folder)


def limit(spec: DataSpec) -> int:
    """The length in tokens at which the data were truncated, so that whoever uses the model truncates there too."""
    return int(spec.summary.get("truncated_at", spec.max_length))


def facts(spec: DataSpec, task: str) -> dict[str, Any]:
    """What a reader of the weights cannot see in them."""
    return {
        "task": task,
        "problem": spec.problem,
        "labels": list(spec.labels),
        "columns": dict(spec.summary.get("columns") or {name: name for name in spec.modalities}),
        **({"inputs": {name: dict(told) for name, told in spec.inputs.items()}} if spec.inputs else {}),
        "max_length": limit(spec),
        "stride": spec.summary.get("stride"),
        "transforms": dict(spec.summary.get("transforms") or {}),
        "seed": spec.summary.get("seed", 0),
        "data": {"fingerprint": spec.fingerprint, "rows": dict(spec.sizes)},
        "versions": {name: version(name) for name in PACKAGES},
    }
