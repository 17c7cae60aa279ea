"""What to type to use the model of a run, as its data want it, and to make the run again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_lab.data.spec import DataSpec
from llm_lab.tracking.formats import one_line

FILES = {"image": ("picture", "pictures"), "audio": ("sound", "sounds")}  # one and many, by kind of input
TEXTS = """from transformers import pipeline

classify = pipeline("text-classification", model="{folder}")
classify("a text")"""
GRAPH = """from pathlib import Path
from safetensors.torch import load_file

names = Path("{folder}/entities.txt").read_text().splitlines()
vectors = load_file("{folder}/model.safetensors")["entity"]  # row n is of names[n]"""
ROWS = """from pathlib import Path
from llm_lab.predictors import predictor

model = predictor(Path({folder!r}))
for row in model.answered(model.read({source!r}, None)):  # {told}
    print(row)"""


def commands(run_dir: Path, manifest: Mapping[str, Any], spec: DataSpec | None = None) -> dict[str, str]:
    """Return what to type to make the run again, and to use its model.

    Args:
        run_dir: the run directory.
        manifest: see `llm_lab.tracking.evidence.manifest`.
        spec: of its data; without one they are texts.
    """
    run, words = shlex.quote(str(run_dir)), manifest.get("words") or []
    source, told = asked(spec)
    return {
        "reproduce": f"python -m llm_lab {shlex.join(words)}".rstrip(),
        "predict": f"python -m llm_lab predict {run} --input {source}{f'  # {told}' if told else ''}",
        "evaluate": f"python -m llm_lab evaluate {run}",
        "python": snippet(f"{run_dir}/model", spec),
    }


def snippet(folder: str, spec: DataSpec | None) -> str:
    """Python that uses a saved model."""
    if spec is not None and spec.problem == "triples":
        return GRAPH.format(folder=folder)
    source, told = asked(spec)
    return (ROWS if told else TEXTS).format(folder=folder, source=source, told=told)


def asked(spec: DataSpec | None) -> tuple[str, str]:
    """What `predict` reads by the name that stands for it, and of several kinds of columns in words too."""
    if spec is None or not spec.inputs:
        return ("triples.tsv" if spec and spec.problem == "triples" else "texts.csv"), ""
    columns = list(_columns(spec))
    names = one_line(", ".join(columns), 300)
    first, *others = spec.inputs.values()
    if first["kind"] in FILES and not others:
        one, many = FILES[first["kind"]]
        return f"{many}/", f"a folder of {many}, a {one}, or a table with the column {names}"
    return "rows.csv", f"a table with the column{'' if len(columns) == 1 else 's'} {names}"


def _columns(spec: DataSpec) -> Iterator[str]:
    for told in spec.inputs.values():
        for name in told["columns"]:
            notes = [f"a {FILES[told['kind']][0]}'s file"] if told["kind"] in FILES else []
            notes += ["may be empty"] if told.get("optional") else []
            yield f"{name} ({', '.join(notes)})" if notes else str(name)
