"""`file://` with a relative path means: relative to the file that names it, then to that file's pack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

SCHEME = "file://"


def is_relative(value: object) -> bool:
    """Whether `value` is a `file://` URI with a relative path that can be looked up now."""
    if not isinstance(value, str) or not value.startswith(SCHEME):
        return False
    rest = value.removeprefix(SCHEME)
    return bool(rest) and not rest.startswith(("/", "~", "$"))


def path_of(uri: str) -> str:
    """The path inside a `file://` URI, without the step into an archive and the checksum."""
    return uri.removeprefix(SCHEME).split("#", 1)[0].split("!/", 1)[0]


def absolute(uri: str, folders: tuple[Path, ...]) -> str:
    """The URI made absolute by the first of `folders` that holds it; unchanged where none does."""
    name = path_of(uri)
    for folder in folders:
        found = os.path.normpath(folder / name)
        if os.path.exists(found):  # noqa: PTH110 - a hundred calls at each start: the string form is cheap
            return SCHEME + found + uri.removeprefix(SCHEME + name)
    return uri


def absolutize(value: Any, folders: tuple[Path, ...]) -> Any:
    """`value` (plain lists and mappings) with every relative `file://` in it made absolute."""
    if isinstance(value, dict):
        return {key: absolutize(item, folders) for key, item in value.items()}
    if isinstance(value, list):
        return [absolutize(item, folders) for item in value]
    return absolute(value, folders) if is_relative(value) else value
