"""YAML files read once, fast (libyaml), by OmegaConf's rules, with the line of every value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

_FLOAT = re.compile(
    r"^(?:[-+]?[0-9]+(?:_[0-9]+)*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9]+(?:_[0-9]+)*[eE][-+]?[0-9]+"
    r"|\.[0-9]+(?:_[0-9]+)*(?:[eE][-+][0-9]+)?"
    r"|[-+]?[0-9]+(?:_[0-9]+)*(?::[0-5]?[0-9])+\.[0-9_]*"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_DEFAULT_SCALAR = "tag:yaml.org,2002:str"
KeyPath = tuple[str | int, ...]


class DocumentError(Exception):
    """A YAML file that cannot be read: the file, the line (from 1) and what the parser says."""

    def __init__(self, path: Path, line: int | None, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path, self.line, self.message = path, line, message


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """OmegaConf's YAML: `1e-3` is a float, a date is text, a key may stand only once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == _DEFAULT_SCALAR and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key `{key.value}`", key.start_mark
                )
            seen.add(key.value if isinstance(key.value, str) else "")
        result: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return result


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.yaml_implicit_resolvers = {
    key: [(tag, regexp) for tag, regexp in resolvers if tag != _TIMESTAMP]
    for key, resolvers in _Loader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """One YAML file: its text, its plain value and the line (from 1) on which each key path stands."""

    path: Path
    text: str
    data: Any
    lines: dict[KeyPath, int]

    def of_mapping(self) -> Document:
        """The same document; raises DocumentError where it is not a mapping, nor empty."""
        if self.data is not None and not isinstance(self.data, dict):
            raise DocumentError(self.path, 1, "the file must hold a mapping of keys to values")
        return self

    @property
    def comment(self) -> str:
        """The prose comment above the first key, on one line; `# @package` headers are not prose."""
        words: list[str] = []
        for line in self.text.splitlines():
            if not line.startswith("#"):
                if line.strip() or words:
                    break
                continue
            body = line.lstrip("#").strip()
            if not body.startswith(("@", "yaml-language-server")):
                words.append(body)
        return " ".join(words)


def read(path: Path) -> Document:
    """Read `path`; raises DocumentError with the line where it is not YAML. Cached until the file changes."""
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _read(path: Path, _mtime: int, _size: int) -> Document:
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        node = loader.get_single_node()
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(path, mark.line + 1 if mark else None, message) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DocumentError(path, None, str(error).splitlines()[0]) from None
    lines = {} if node is None else dict(_lines(node, ()))
    return Document(path=path, text=text, data=data, lines=lines)


def _lines(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    """Each key's own line; a list's entries by their index."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, key.value)
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value.start_mark.line + 1
            yield from _lines(value, (*path, index))
