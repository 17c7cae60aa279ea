"""Resolve a config without reading the environment: `${oc.env:NAME}` stays its own text wherever it flows."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePath
from types import TracebackType
from typing import Any, Self

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.basecontainer import BaseContainer
from omegaconf.errors import OmegaConfBaseException

ENVIRONMENT = "oc.env"
# These give what they are given, so a text that stands for an environment value passes through them whole.
_TRANSPARENT = frozenset({ENVIRONMENT, "oc.select", "oc.deprecated", "oc.dict.values", "hydra"})
_BARE = re.compile(r"(?!(?:null|true|false|inf|nan)$)[A-Za-z_/][A-Za-z0-9_/.-]*", re.IGNORECASE | re.ASCII)
_TOKEN = re.compile("(\\\\*)\ue000(\\d+)\ue001")  # private-use characters, which no config holds
_INTERPOLATION = re.compile(r"(\\*)\$\{")
_SPECIAL = re.compile(r"(\\*)('|\$\{|$)")


class Unresolved(str):
    """The text of an interpolation that stays one, where any other text is a plain value."""

    __slots__ = ()


class EnvironmentAsText:
    """While open, OmegaConf reads no environment variable; `plain` resolves all the rest.

    Attributes:
        names: the variables that were asked for.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._texts: list[str] = []
        self._called: set[str] = set()

    def __enter__(self) -> Self:
        # OmegaConf has no public way to see which resolvers a value went through.
        self._resolvers = BaseContainer._resolvers  # noqa: SLF001
        BaseContainer._resolvers = {name: self._watched(name) for name in self._resolvers}  # noqa: SLF001
        OmegaConf.register_new_resolver(ENVIRONMENT, self._env, replace=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        BaseContainer._resolvers = self._resolvers  # noqa: SLF001

    def plain(self, node: Any) -> Any:
        """Resolve a node into plain containers; what needs the environment is left `Unresolved`."""
        if isinstance(node, DictConfig | ListConfig):
            if node._is_none():  # noqa: SLF001
                return None
            if isinstance(node, DictConfig):
                return {key: self._item(node, key) for key in node}
            return [self._item(node, index) for index in range(len(node))]
        if isinstance(node, Enum):
            return node.name
        return str(node) if isinstance(node, PurePath) else node

    def _item(self, parent: DictConfig | ListConfig, key: Any) -> Any:
        if OmegaConf.is_missing(parent, key):
            return Unresolved("???")
        text = parent._get_node(key)._value()  # type: ignore[union-attr]  # noqa: SLF001
        self._called.clear()
        try:
            value = parent[key]
        except OmegaConfBaseException:
            return Unresolved(
                text
            )  # it resolves only inside a job, or not at all: then the light check has said so
        if ENVIRONMENT not in self._called:
            return self.plain(value)
        whole = isinstance(value, str) and self._called <= _TRANSPARENT
        return Unresolved(self._restored(value) if whole else text)

    def _env(self, name: Any, *default: Any) -> str:
        self._called.add(ENVIRONMENT)
        self.names.add(str(name))
        given = ["null" if item is None else _argument(str(item)) for item in default]
        self._texts.append("${oc.env:" + ",".join([_argument(str(name)), *given]) + "}")
        return f"\ue000{len(self._texts) - 1}\ue001"

    def _restored(self, value: str) -> str:
        """Put the interpolations back into a text that is otherwise literal."""
        return _TOKEN.sub(lambda found: found[1] * 2 + self._texts[int(found[2])], literal(value))

    def _watched(self, name: str) -> Any:
        resolver = self._resolvers[name]

        def watched(*args: Any, **kwargs: Any) -> Any:
            self._called.add(name)
            return resolver(*args, **kwargs)

        return watched


def literal(text: str) -> str:
    """Escape a text so that OmegaConf reads it back as it is."""
    return _INTERPOLATION.sub(lambda found: found[1] * 2 + r"\${", text)


def _argument(text: str) -> str:
    """Spell a text as an argument of a resolver, quoted where it must be."""
    if _BARE.fullmatch(text):
        return text
    body = _SPECIAL.sub(lambda found: found[1] * 2 + (f"\\{found[2]}" if found[2] else ""), text)
    return f"'{body}'"
