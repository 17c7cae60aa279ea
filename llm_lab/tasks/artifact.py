"""The folder that outlives a run: weights, tokenizer, label names and what they were made from."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoTokenizer, PreTrainedModel

from llm_lab.data.spec import DataSpec
from llm_lab.errors import RunError
from llm_lab.models import wrapper

FACTS = "llm_lab.json"
PACKAGES = ("llm-lab", "torch", "transformers", "tokenizers", "pytorch-lightning")


def write_artifact(
    folder: Path, *, model: nn.Module, wrappers: Sequence[wrapper.Wrapper], spec: DataSpec, task: str
) -> None:
    """Write safetensors, configuration, tokenizer and ``llm_lab.json`` beside ``folder``, then rename.

    Args:
        folder: where the artifact is to be; an older one there is replaced.
        model: the wrapped model; stays as it is.
        wrappers: what to merge away before the weights are written.
        spec: labels, tokenizer and length of the data.
        task: name of the task's class.

    Raises:
        RunError: a wrapper leaves something that transformers cannot save.
    """
    plain = wrapper.merge(wrappers, copy.deepcopy(model)) if wrappers else model
    if not isinstance(plain, PreTrainedModel):
        raise RunError(f"{folder}: a {type(plain).__name__} is left after merging, no model of transformers")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    plain.save_pretrained(temporary)
    tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
    tokenizer.model_max_length = limit(spec)
    tokenizer.save_pretrained(temporary)
    text = json.dumps(facts(spec, task), indent=2, ensure_ascii=False)
    (temporary / FACTS).write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


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
        "max_length": limit(spec),
        "transforms": dict(spec.summary.get("transforms") or {}),
        "seed": spec.summary.get("seed", 0),
        "data": {"fingerprint": spec.fingerprint, "rows": dict(spec.sizes)},
        "versions": {name: version(name) for name in PACKAGES},
    }
