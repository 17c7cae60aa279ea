"""Content hashes of files and folders, remembered so that nothing is read twice."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from llm_lab.assets.cache import home, write_json


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(*parts: str) -> str:
    """One sha256 for several strings, none of which can run into the next."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def part_digest(sha256: str, steps: tuple[str, ...]) -> str:
    """Content hash of what archive steps take out of a file; the file's own sha256 where there are none."""
    return digest_of(sha256, *steps) if steps else sha256


def member_key(sha256: str, steps: tuple[str, ...], *, strip_top: bool) -> str:
    """The cache's key of what archive steps take out of a file."""
    return f"members/{digest_of(sha256, str(strip_top), *steps)}"


class Digests:
    """The sha256 of files under one folder, kept in the cache by path, size and time."""

    def __init__(self, *, root: Path) -> None:
        self.root = root.absolute()
        self._store = home() / "digests" / f"{digest_of(str(self.root))}.json"
        self._known: dict[str, list[int | str]] = _read(self._store)
        self._changed = False

    def known(self, path: Path) -> str:
        """The remembered sha256 of a file that has not changed since; empty where there is none."""
        entry = self._known.get(str(path))
        return str(entry[2]) if entry and entry[:2] == _stamp(path) else ""

    def of(self, path: Path) -> str:
        """The sha256 of a file, read only where it is new or has changed."""
        if not (digest := self.known(path)):
            stamp = _stamp(path)
            digest = sha256_of(path)
            self._known[str(path)] = [*stamp, digest]
            self._changed = True
        return digest

    def save(self) -> None:
        """Remember what was read; what a parallel process read may be lost, which costs only time."""
        if self._changed:
            write_json(self._store, self._known)


def tree_digest(path: Path) -> str:
    """Content hash of a file (its sha256) or a folder (of the names and sha256 of all its files)."""
    digests = Digests(root=path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        result = digest_of(*(f"{digests.of(file)} {file.relative_to(path).as_posix()}" for file in files))
    else:
        result = digests.of(path)
    digests.save()
    return result


def _stamp(path: Path) -> list[int | str]:
    facts = os.stat(path)  # noqa: PTH116 - called for every file of a mirror, and twice as fast
    return [facts.st_size, facts.st_mtime_ns]


def _read(store: Path) -> dict[str, list[int | str]]:
    try:
        return dict(json.loads(store.read_text()))
    except (OSError, ValueError):
        return {}
