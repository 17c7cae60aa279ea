"""Nodes inside a node that say by a word, or by their place alone, what is built of them; they need no `_target_`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean, nearest
from llm_lab.config.types import MISSING, Type, from_annotation, shown

_ROOM = "llm_lab.data.multimodal"
KINDS = {  # of columns
    "text": f"{_ROOM}.cells.Text",
    "image": f"{_ROOM}.image.Image",
    "audio": f"{_ROOM}.audio.Audio",
    "number": f"{_ROOM}.cells.Number",
    "category": f"{_ROOM}.cells.Category",
}
_NAME = from_annotation(ast.parse("str | None", mode="eval").body)
_NAMES = from_annotation(ast.parse("str | Sequence[str] | None", mode="eval").body)
ROLES = {
    "label": _NAMES,
    "split": _NAME,
    "group": _NAME,
    "same": _NAME,
}  # which name columns and are no inputs


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the value of an argument is built as: one node, or a mapping of nodes by name.

    Attributes:
        targets: dotted names of what can be built, by the word that says which; by nothing where there is one only.
        by: the key of a node that holds this word.
        many: whether the value is a mapping of nodes by name, null where one is left out.
        beside: names in this mapping that hold something else, and what.
    """

    targets: Mapping[str, str]
    by: str = ""
    many: bool = False
    beside: Mapping[str, Type] = field(default_factory=dict)

    def nodes(self, value: Any, key: str) -> Iterator[tuple[str, Any]]:
        """Key and node of everything that is to be built of a value; nothing of what its type forbids."""
        if not isinstance(value, Mapping):
            return iter(())
        each = {f"{key}.{name}": node for name, node in value.items() if name not in self.beside}
        nodes = each if self.many else {key: value}
        return ((place, node) for place, node in nodes.items() if node is not None and node is not MISSING)

    def misfits(self, value: Any, key: str) -> Iterator[Fault]:
        """One fault per value beside the nodes that is not what it must be."""
        for name, kind in self.beside.items():
            if isinstance(value, Mapping) and name in value:
                for place, message in kind.faults(value[name], f"{key}.{name}"):
                    yield Fault(key=place, message=message, suggestion=kind.proposal(value[name]))

    def built(self, node: Any, key: str, names: Iterable[str] = ()) -> dict[str, Any] | Fault:
        """The node as one with a `_target_`; or why it cannot be one.

        Args:
            node: what stands at the key.
            key: of the node.
            names: that it may have been meant to have.
        """
        meant = nearest(key.rpartition(".")[2], names)
        near = f"did you mean `{key.rpartition('.')[0]}.{meant}`?" if meant else ""
        if not isinstance(node, Mapping):
            message = f"a mapping with a `{self.by}` is wanted, not {shown(node)}"
            return Fault(key=key, message=message, suggestion=near or self._choices())
        if self.by and self.by not in node:
            message = f"nothing says what it is: `{self.by}` is missing"
            return Fault(key=key, message=message, suggestion=near or self._choices())
        word = node[self.by] if self.by else ""
        if word not in self.targets:
            near = did_you_mean(str(word), self.targets)
            return Fault(key=f"{key}.{self.by}", message=f"unknown {self.by} `{word}`", suggestion=near)
        rest = {name: value for name, value in node.items() if name != self.by}
        return {"_target_": self.targets[word], **rest}

    def _choices(self) -> str:
        return f"`{self.by}` is one of {', '.join(self.targets)}"


COLUMNS = Part(targets=KINDS, by="kind", many=True, beside=ROLES)
PARTS: Mapping[str, Mapping[str, Part]] = {  # by the target that takes the argument, and by the argument
    f"{_ROOM}.module.MultimodalData": {"columns": COLUMNS},
    KINDS["image"]: {"augment": Part(targets={"": f"{_ROOM}.image_augment.ImageAugment"})},
    KINDS["audio"]: {"augment": Part(targets={"": f"{_ROOM}.audio_augment.AudioAugment"})},
}
WORDS = tuple(dict.fromkeys(part.by for parts in PARTS.values() for part in parts.values() if part.by))


def parts_of(
    target: str, values: Mapping[str, Any], key: str
) -> Iterator[tuple[str, dict[str, Any] | Fault]]:
    """Key and node, with a `_target_`, of everything that a target builds of its arguments; or what is wrong with it.

    Args:
        target: dotted name.
        values: its arguments.
        key: where they stand.
    """
    for name, part in PARTS.get(target, {}).items():
        value: Any = values.get(name)
        yield from ((fault.key, fault) for fault in part.misfits(value, f"{key}.{name}"))
        for place, node in part.nodes(value, f"{key}.{name}"):
            others = [one for one in (*value, *part.beside) if place != f"{key}.{name}.{one}"]
            yield place, part.built(node, place, others if part.many else ())
