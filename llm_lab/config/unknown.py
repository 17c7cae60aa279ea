"""What a wrong key may have meant: a key beside it, the same key elsewhere, or a group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.nearest import nearest
from llm_lab.config.schema import deepest, legal_names


def propose(config: DictConfig, key: str, *, beside: Iterable[str] = ()) -> str:
    """A question that names the nearest legal key, empty where nothing is near.

    Tried in turn: a key beside the wrong one, which may be one of `beside`, the same key in another place, any key.
    """
    parent, rest = deepest(config, key)
    if not parent and len(rest) > 1 and (names := legal_names({}, rest[0])):
        parent, rest = rest[0], rest[1:]  # a group of plain values that is null
    else:
        names = _names(config, parent)
    found = nearest(rest[0], [name for name in (*names, *beside) if name != rest[0]])
    if found is not None:
        return f"did you mean `{'.'.join(part for part in (parent, found, *rest[1:]) if part)}`?"
    every = [name for name in legal_keys(config) if name != key]
    tail = key.rpartition(".")[2]
    same = [name for name in every if name.rpartition(".")[2] == tail]
    other = nearest(key, same, cutoff=0.0) or nearest(key, every, cutoff=0.75)
    return f"did you mean `{other}`?" if other else ""


def propose_group(key: str, value: str, groups: Iterable[str]) -> str:
    """A question that names the nearest group for a word like `modle=minilm`, empty where nothing is near."""
    group = nearest(key, groups)
    return "" if group is None else f"did you mean `{group}={value}`?"


def _names(config: DictConfig, key: str) -> list[str]:
    """The keys that are there or would be legal below `key`."""
    node = config if not key else OmegaConf.select(config, key)
    return sorted(({str(name) for name in node} | set(legal_names(node, key))) - {"hydra", "_target_"})


def legal_keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Every key of the config, and those that the signatures would take beside them."""
    for name in _names(config, prefix):
        key = f"{prefix}.{name}" if prefix else name
        yield key
        value = config if not key else OmegaConf.select(config, key, throw_on_resolution_failure=False)
        if isinstance(value, DictConfig):
            yield from legal_keys(config, key)
