"""Rules that keep the inputs of data with several modalities and the towers of the model together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.parts import ROLES
from llm_lab.config.rules import Values, get, rule

DATA = "llm_lab.data.multimodal.module.MultimodalData"
MODEL = "llm_lab.models.fusion.model.fused"
ENCODED = ("text", "image", "audio")  # by towers; numbers and categories need none


@rule
def inputs_are_columns(values: Values) -> Iterator[Fault]:
    """`data.inputs` chooses among the inputs that `data.columns` describes."""
    names, known = get(values, "data.inputs"), _inputs(values)
    for number, name in enumerate(names if isinstance(names, list) else ()):
        if known and name not in known:
            yield Fault(
                key=f"data.inputs.{number}",
                message=f"there is no input `{name}`",
                suggestion=did_you_mean(str(name), known),
            )


@rule
def every_input_has_a_tower(values: Values) -> Iterator[Fault]:
    """Texts, pictures and sounds that the model gets need an encoder: one of their own, or that of their kind."""
    if get(values, "model._target_") != MODEL:
        return
    chosen = get(values, "data.inputs")
    for name, node in _inputs(values).items():
        kind = node.get("kind")
        left_out = isinstance(chosen, list) and name not in chosen
        encoded = _is_built(values, f"model.towers.{name}") or _is_built(values, f"model.{kind}")
        if kind in ENCODED and not left_out and not encoded:
            yield Fault(
                key=f"model.{kind}",
                message=f"nothing encodes `data.columns.{name}`, which is of this kind",
                suggestion=f"take a tower by `model/{kind}=`, or leave the input out: `data.columns.{name}=null`",
            )


def _is_built(values: Values, key: str) -> bool:
    """Whether a node says what it builds; settings alone, of an experiment whose choice was put away, do not."""
    node = get(values, key)
    return isinstance(node, Mapping) and "_target_" in node


def _inputs(values: Values) -> dict[str, Mapping[str, Any]]:
    """The columns that are inputs of the model; a text that is to be written is none."""
    columns, label = get(values, "data.columns"), get(values, "data.columns.label") or "label"
    if get(values, "data._target_") != DATA or not isinstance(columns, Mapping):
        return {}
    written = label if get(values, "data.problem") == "transcript" else None
    out = (*ROLES, *([written] if isinstance(written, str) else written or ()))
    return {name: node for name, node in columns.items() if name not in out and isinstance(node, Mapping)}
