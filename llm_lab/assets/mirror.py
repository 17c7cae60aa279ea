"""The mirror: local folders whose files are found by their sha256, asked before any network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from llm_lab.assets.digest import Digests
from llm_lab.assets.offline import mirrors


def find(sha256: str, *, name: str = "") -> Path | None:
    """A file of `LLM_LAB_MIRROR` with this sha256; see `find_all`."""
    return find_all({sha256: name}).get(sha256)


def find_all(wanted: Mapping[str, str]) -> dict[str, Path]:
    """Files of `LLM_LAB_MIRROR` by their sha256, those that are there; a file is read again only after it changed.

    Args:
        wanted: sha256 -> name. Files of these names are looked at first, so that a large mirror is not read for one.
    """
    found: dict[str, Path] = {}
    for folder in mirrors():
        digests = Digests(root=folder)
        found |= _search(
            digests, list(_files(folder)), {one: wanted[one] for one in wanted.keys() - found.keys()}
        )
        digests.save()
        if len(found) == len(wanted):
            break
    return found


def _search(digests: Digests, files: list[Path], wanted: Mapping[str, str]) -> dict[str, Path]:
    found = {digest: path for path in reversed(files) if (digest := digests.known(path)) in wanted}
    names = {name for one, name in wanted.items() if one not in found}
    for path in sorted(files, key=lambda path: (path.name not in names, str(path))):
        if len(found) == len(wanted):
            break
        if (digest := digests.of(path)) in wanted:
            found.setdefault(digest, path)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        paths = (Path(parent, name) for name in names)
        yield from (path for path in paths if path.is_file() and os.access(path, os.R_OK))
