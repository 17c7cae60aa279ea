"""What stands in the files that set a config, as it is written: also what something else overrides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab.config import documents
from llm_lab.config.fault import Origin


@dataclass(frozen=True, kw_only=True)
class Written:
    """One text of a file, under its key in the composed config."""

    key: str
    name: str
    text: str
    where: str


def files_of(origins: Mapping[str, Origin], *, scope: str = "") -> list[Path]:
    """Return the files that set something, of one scope or of all, in the order of their first key."""
    found = (item.file for item in origins.values() if item.file and scope in ("", item.scope))
    return list(dict.fromkeys(found))


def config_of(file: Path, origins: Mapping[str, Origin]) -> DictConfig:
    """Return a file alone as a config, its keys where they stand in the composed one."""
    document = documents.read(file)
    data = {name: value for name, value in document.data.items() if name != "defaults"}
    for name in reversed(_package(file, document, origins).split(".")[:-1]):
        data = {name: data}
    return OmegaConf.create(data)


def written(file: Path, origins: Mapping[str, Origin]) -> Iterator[Written]:
    """Give all texts of a file."""
    document = documents.read(file)
    package = _package(file, document, origins)
    for path, text in _texts(document.data):
        where = str(Origin(file=file, line=document.lines.get(path)))
        yield Written(key=package + ".".join(map(str, path)), name=str(path[-1]), text=text, where=where)


def _package(file: Path, document: documents.Document, origins: Mapping[str, Origin]) -> str:
    """Return what comes before a key of the file in the composed config."""
    for key, origin in origins.items():
        if origin.file == file:
            for path, line in document.lines.items():
                own = ".".join(map(str, path))
                if line == origin.line and f".{key}".endswith(f".{own}"):
                    return key.removesuffix(own)
    return ""


def _texts(value: Any, path: documents.KeyPath = ()) -> Iterator[tuple[documents.KeyPath, str]]:
    if isinstance(value, str) and path:
        yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in pairs:
        yield from _texts(item, (*path, name))
