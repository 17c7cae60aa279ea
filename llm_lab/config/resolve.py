"""Resolve a composed config value by value, so that every broken one is told and the others still count."""

from __future__ import annotations

from typing import Any

from omegaconf import Container, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import GrammarParseError, InterpolationResolutionError, OmegaConfBaseException

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import nearest
from llm_lab.config.types import MISSING

_HOPS = 64
_GRAPH = "knowledge"
_LATER = "${paths.run}"  # null until a run directory is opened


def plain(config: DictConfig, faults: list[Fault]) -> dict[str, Any]:
    """The config without Hydra's node as plain values, MISSING in place of what is missing or broken."""
    walker = _Walker(config, faults)
    values = {str(key): walker.value(config, key, str(key)) for key in config if key != "hydra"}
    if walker.graphless:
        faults.append(_no_graph(walker.graphless))
    return values


class _Walker:
    def __init__(self, root: DictConfig, faults: list[Fault]) -> None:
        self.root, self.faults = root, faults
        self.graphless: list[str] = []  # keys that a graph would fill, where none is chosen

    def value(self, parent: Container, name: Any, key: str) -> Any:
        """One value of a container, resolved; a fault and MISSING where that cannot be done."""
        if OmegaConf.is_missing(parent, name):
            self.faults.append(Fault(key=key, message="missing value", suggestion=f"set it: `{key}=...`"))
            return MISSING
        if parent._get_node(name)._value() == _LATER:  # type: ignore[union-attr]  # noqa: SLF001
            return MISSING
        try:
            found = parent[name]
        except RecursionError:
            return self._broken(key, f"circular interpolation: {self._chain(parent, name, key)}")
        except OmegaConfBaseException as error:
            return self._interpolation(parent, name, key, error)
        return self._inside(found, key)

    def _inside(self, found: Any, key: str) -> Any:
        if isinstance(found, DictConfig):
            names: list[Any] = list(found)
            return {str(name): self.value(found, name, f"{key}.{name}") for name in names}
        if isinstance(found, ListConfig):
            return [self.value(found, index, f"{key}.{index}") for index in range(len(found))]
        return found

    def _interpolation(self, parent: Container, name: Any, key: str, error: OmegaConfBaseException) -> Any:
        text = str(written(parent, name))
        chain = self._chain(parent, name, key)
        if chain.endswith(f" -> {key}") or chain.count(" -> ") >= _HOPS:
            return self._broken(key, f"circular interpolation: {chain}")
        if isinstance(error, GrammarParseError):
            return self._broken(key, f"not an interpolation: {text}")
        if f"key '{_GRAPH}." in str(error) and not self._has_graph():
            self.graphless.append(key)
            return MISSING
        reason = _reason(error)
        target = text[2:-1] if text.startswith("${") and text.endswith("}") and ":" not in text else ""
        found = nearest(target, _keys(self.root)) if target else None
        return self._broken(
            key, f"broken interpolation {text}: {reason}", f"did you mean `${{{found}}}`?" if found else ""
        )

    def _has_graph(self) -> bool:
        return any(OmegaConf.select(self.root, f"{_GRAPH}.{one}") for one in ("source", "graph"))

    def _chain(self, parent: Container, name: Any, key: str) -> str:
        """The keys that plain references lead through, joined by arrows, until they end or come round."""
        seen, text = [key], written(parent, name)
        while isinstance(text, str) and text.startswith("${") and ":" not in text and len(seen) <= _HOPS:
            target = text[2:-1]
            seen.append(target)
            if target in seen[:-1]:
                break
            text = _raw(self.root, target)
        return " -> ".join(seen)

    def _broken(self, key: str, message: str, suggestion: str = "") -> Any:
        self.faults.append(Fault(key=key, message=message, suggestion=suggestion))
        return MISSING


def _no_graph(keys: list[str]) -> Fault:
    """One fault for all the values that a choice of `knowledge=` brings."""
    return Fault(
        key=_GRAPH,
        message=f"no graph is chosen, which would give {', '.join(f'`{key}`' for key in keys)}",
        suggestion=f"choose a graph by `{_GRAPH}=`, `{_GRAPH}=umls` say (`list {_GRAPH}` shows them all), "
        "or set what it would give",
    )


def _reason(error: OmegaConfBaseException) -> str:
    if "Recursive interpolation" in str(error):
        return "it refers to itself"
    line = next((line for line in str(error).splitlines() if line.strip()), "cannot be resolved")
    for cause in (error.__cause__, error.__context__):
        if isinstance(error, InterpolationResolutionError) and isinstance(cause, KeyError | ValueError):
            return str(cause.args[0]) if cause.args else line
    return line


def written(parent: Container, name: Any) -> Any:
    """A value of a container as it was written, its interpolation unresolved."""
    plain: Any = OmegaConf.to_container(parent, resolve=False)
    return plain[name]


def _raw(root: DictConfig, key: str) -> Any:
    """A value by its dotted key with its interpolation unresolved, None where there is none."""
    node: Any = OmegaConf.to_container(root, resolve=False)
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node


def _keys(root: DictConfig) -> list[str]:
    found: list[str] = []

    def walk(node: Any, prefix: str) -> None:
        for key, value in node.items():
            if key != "hydra":
                found.append(f"{prefix}{key}")
                if isinstance(value, dict):
                    walk(value, f"{prefix}{key}.")

    walk(OmegaConf.to_container(root, resolve=False), "")
    return found
