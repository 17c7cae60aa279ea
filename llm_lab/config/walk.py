"""Every value of a composed config with its key, its own text and what that resolves to, broken ones too."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

UNRESOLVED = object()
HOPS = 8  # interpolations gone through; more are a loop that makes new mappings for ever
Container = DictConfig | ListConfig
_COPY = re.compile(r"\$\{\.*[\w.]+\}")  # another value of the config, which the walk meets in its own place
_ALONE = re.compile(r"\$\{.*\}", re.DOTALL)  # may resolve to a mapping; in the middle of a text, to a text


@dataclass(frozen=True, kw_only=True)
class Item:
    """One value: its dotted key and last name, its holder, its text as written, and what that resolves to.

    `source` is the key under which it was written: its own, or that of the interpolation that led to it.
    """

    key: str
    name: str
    source: str
    holder: Container
    raw: Any
    value: Any

    @property
    def interpolated(self) -> bool:
        """Whether the value is computed from others."""
        return isinstance(self.raw, str) and "${" in self.raw

    @property
    def texts(self) -> list[str]:
        """What it resolves to, where that is a text; as it is written, where it is not computed."""
        values = (self.value,) if self.interpolated else (self.raw, self.value)
        return list(dict.fromkeys(value for value in values if isinstance(value, str)))


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Gives all values under a container, the containers themselves too, through interpolations as well.

    Resolving costs time, so where `names` are given, of the rest only what may be a new mapping is resolved.
    """

    names: Collection[str] | None = None
    skip: str = ""  # a name at the top that is left out

    def items(self, node: Any, key: str = "") -> Iterator[Item]:
        """Walk what is under a node that has this dotted key; anything but a container holds nothing."""
        return self._items(node, key, "", (), 0)

    def _items(self, node: Any, key: str, source: str, above: tuple[int, ...], hops: int) -> Iterator[Item]:
        node = _made(node) if isinstance(node, dict | list) else node
        if not isinstance(node, Container) or id(node) in above or hops > HOPS or node._is_none():  # noqa: SLF001
            return
        for name in list(node) if isinstance(node, DictConfig) else range(len(node)):
            if not above and name == self.skip:
                continue
            child = node._get_node(name)  # noqa: SLF001 - the public way resolves
            raw = child._value() if child is not None else None  # type: ignore[union-attr]  # noqa: SLF001
            value = self._resolve(node, name, raw)
            inner = f"{key}.{name}" if key else str(name)
            item = Item(key=inner, name=str(name), source=source or inner, holder=node, raw=raw, value=value)
            yield item
            led = source or (inner if item.interpolated else "")
            yield from self._items(value, inner, led, (*above, id(node)), hops + item.interpolated)

    def _resolve(self, node: Container, name: Any, raw: Any) -> Any:
        passed = self.names is not None and name not in self.names and isinstance(raw, str)
        if passed and (_COPY.fullmatch(raw) or not _ALONE.fullmatch(raw)):
            return raw
        try:
            return node[name]
        except Exception:  # noqa: BLE001 - resolvers raise what they like; the light check tells of it
            return UNRESOLVED


def _made(value: dict[Any, Any] | list[Any]) -> Container | None:
    """What a resolver made, as a container to walk; its texts are values, also where they look otherwise."""
    try:
        return OmegaConf.create(value, flags={"allow_objects": True})
    except OmegaConfBaseException:
        return None
