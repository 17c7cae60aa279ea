"""The `columns` key of data with several modalities: inputs with their kinds, and the columns of label and split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_lab.config import build
from llm_lab.config.fault import Fault
from llm_lab.config.parts import COLUMNS, ROLES
from llm_lab.data.columns import Columns
from llm_lab.data.multimodal.cells import Text
from llm_lab.data.multimodal.kind import CellKind, Kind, MediaKind
from llm_lab.data.source import nearest
from llm_lab.data.spec import ID, MASK, PRESENT, SAME
from llm_lab.errors import ConfigError

TAKEN = ("labels", "index", "step_targets", "input_ids")  # names that batches use for something else


class Inputs:
    """Inputs of the model by name, and the columns of label and split.

    Args:
        columns: name -> settings of a kind, its ``kind`` among them; roles name columns: ``label``, ``split``,
            ``group`` and ``same``.
        key: where that stands in the configuration.
        written: whether the label is a text to be written; it may be one of the texts here, which then is no input.
        only: names of those that are wanted; None for all.

    Attributes:
        target: that text; None where the label is a column of the table.

    Raises:
        ConfigError: no input, an unknown one or kind, or settings that the kind does not take.
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        *,
        key: str = "data.columns",
        written: bool = False,
        only: Sequence[str] | None = None,
    ) -> None:
        if faults := list(COLUMNS.misfits(columns, key)):
            raise ConfigError("; ".join(map(str, faults)))
        nodes = {name: node for name, node in columns.items() if name not in ROLES and node is not None}
        label = columns.get("label", "label")
        names = (label,) if isinstance(label, str) else tuple(label or ())
        self.target = _target(nodes, names, key) if written else None
        names = tuple(self.target.columns) if self.target else names
        self.roles = Columns(text=(), label=names, split=columns.get("split"), group=columns.get("group"))
        self.same: str | None = columns.get(SAME)
        if not nodes:
            raise ConfigError(f"{key}: name an input, such as `picture: {{kind: image, size: 64}}`")
        wanted = nodes if only is None else _wanted(only, nodes)
        self.kinds = {name: make_kind(name, nodes[name], f"{key}.{name}") for name in nodes if name in wanted}

    @property
    def media(self) -> dict[str, MediaKind]:
        """Inputs that are files."""
        return {name: kind for name, kind in self.kinds.items() if isinstance(kind, MediaKind)}

    @property
    def cells(self) -> dict[str, CellKind]:
        """Inputs that lie in the rows themselves."""
        return {name: kind for name, kind in self.kinds.items() if isinstance(kind, CellKind)}

    @property
    def texts(self) -> dict[str, Text]:
        """Inputs that are tokenized."""
        return {name: kind for name, kind in self.kinds.items() if isinstance(kind, Text)}

    @property
    def columns(self) -> list[str]:
        """Columns of the table that inputs are made of."""
        return list(dict.fromkeys(column for kind in self.kinds.values() for column in kind.columns))

    def facts(self) -> dict[str, dict[str, Any]]:
        """What a model and a predictor know of each."""
        return {name: kind.facts() for name, kind in self.kinds.items()}


def _target(nodes: dict[str, Any], names: Sequence[str], key: str) -> Text | None:
    """Take the text that is to be written from the nodes of the inputs; None where its name is not among them."""
    name = names[0] if len(names) == 1 else ""
    if name not in nodes:
        return None
    kind = make_kind(name, nodes.pop(name), f"{key}.{name}")
    if not isinstance(kind, Text) or kind.optional:
        raise ConfigError(f"{key}.{name}: what is to be written is a text, and no optional one")
    return kind


def _wanted(names: Sequence[str], known: Mapping[str, Any]) -> Sequence[str]:
    for name in names:
        if name not in known:
            raise ConfigError(f"data.inputs: there is no input `{name}`{nearest(name, list(known))}")
    if not names:
        raise ConfigError(f"data.inputs: name one or more of {', '.join(known)}")
    return names


def make_kind(name: str, node: Any, key: str) -> Kind:
    """The kind that a node describes."""
    told = COLUMNS.built(node, key)
    if isinstance(told, Fault):
        raise ConfigError(str(told))
    if name in TAKEN or name.endswith((MASK, PRESENT, ID)) or not name.isidentifier():
        raise ConfigError(
            f"{key}: no input can be called `{name}`: it must be a plain word that batches do not use"
        )
    kind = build(told, expected=Kind, key=key)
    kind.input = name
    return kind
