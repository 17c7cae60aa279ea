"""The mirror: local folders whose files are found by their sha256, asked before any network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from llm_lab.assets.digest import Digests
from llm_lab.assets.offline import mirrors


def find(sha256: str, *, name: str = "") -> Path | None:
    """A file of `LLM_LAB_MIRROR` with this sha256; a file is read again only after it has changed.

    Files called `name` are looked at first, so that a large mirror is not read for one file.
    """
    for folder in mirrors():
        digests = Digests(root=folder)
        found = _search(digests, list(_files(folder)), sha256, name)
        digests.save()
        if found:
            return found
    return None


def _search(digests: Digests, files: list[Path], sha256: str, name: str) -> Path | None:
    known = next((path for path in files if digests.known(path) == sha256), None)
    likely = sorted(files, key=lambda path: (path.name != name, str(path)))
    return known or next((path for path in likely if digests.of(path) == sha256), None)


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        paths = (Path(parent, name) for name in names)
        yield from (path for path in paths if path.is_file() and os.access(path, os.R_OK))
