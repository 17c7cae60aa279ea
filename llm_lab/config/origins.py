"""For every value of a composed config: the file and line, or the word, that set it last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigSource
from omegaconf import OmegaConf

from llm_lab.config import documents
from llm_lab.config.fault import Origin
from llm_lab.config.search_path import Layer
from llm_lab.config.source import HydraSource, LabFileSource

_KEY = re.compile(r"\b[a-z]\w*(?:\.\w+)+")
HYDRA = Origin(scope="hydra", config="hydra")


def collect(
    defaults: Sequence[ResultDefault], sources: Sequence[ConfigSource], layers: Sequence[Layer]
) -> dict[str, Origin]:
    """Origins of all keys, containers too, in the order of the defaults list: the last writer wins."""
    found: dict[str, Origin] = {}
    for default in defaults:
        if default.config_path is None:
            continue
        source = next((item for item in sources if item.is_config(default.config_path)), None)
        if not isinstance(source, LabFileSource):
            continue  # inside a package or a schema: Hydra's own, which `find` answers by itself
        file, folder = source.file_of(default.config_path), source.folder
        scope = "hydra" if isinstance(source, HydraSource) else _scope(folder, layers)
        prefix = default.package or ""
        for path, line in _document_lines(file):
            key = join(prefix, *map(str, path))
            found[key] = Origin(file=file, line=line, scope=scope, config=default.config_path, folder=folder)
    return found


def _document_lines(file: Path) -> Iterator[tuple[tuple[str | int, ...], int]]:
    try:
        lines = documents.read(file).lines
    except documents.DocumentError:
        return
    yield from ((path, line) for path, line in lines.items() if path[0] != "defaults")


def _scope(folder: Path, layers: Sequence[Layer]) -> str:
    """Whose folder it is; what the user added by `--config-dir` or `hydra.searchpath` is the user's."""
    return next((layer.scope for layer in layers if layer.folder == folder), "user")


def note_word(origins: dict[str, Origin], override: Override, typed: str) -> None:
    """The word, as the user typed it, set its key and everything below it."""
    key = override.key_or_group
    for inner in [item for item in origins if item == key or item.startswith(f"{key}.")]:
        if not isinstance(override.value(), dict):
            del origins[inner]
    if override.is_delete():
        return
    origin = Origin(word=typed)
    for inner in below(key, override.value()):
        origins[inner] = origin


def below(key: str, value: Any) -> Iterator[str]:
    """The key itself and the key paths of everything inside a plain value."""
    yield key
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=False)
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for inner, item in pairs:
        yield from below(f"{key}.{inner}", item)


def find(origins: Mapping[str, Origin], key: str) -> Origin:
    """The origin of a key, else of the nearest container that holds it; Hydra's own where nobody set it."""
    while key:
        if key in origins:
            return origins[key]
        key = key.rpartition(".")[0]
    return HYDRA


def with_places(message: str, origins: Mapping[str, Origin]) -> str:
    """The message, and where each key that it names was set; for what shows only when a run is built."""
    keys = dict.fromkeys(key for key in _KEY.findall(message) if key in origins)
    places = "; ".join(f"{key} in {origins[key]}" for key in keys)
    return f"{message} ({places})" if places else message


def join(*parts: str) -> str:
    """A dotted key of the parts that are not empty; `_global_` is the root."""
    return ".".join(part for part in parts if part and part != "_global_")
