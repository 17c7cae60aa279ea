"""What the files of a source are, to be hashed, without reading them all at each start."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llm_lab import assets
from llm_lab.data.multimodal.inputs import Inputs
from llm_lab.data.multimodal.made import Made
from llm_lab.data.readers import as_uri, read
from llm_lab.data.record import Record
from llm_lab.data.source import Source

HOLDS_ITS_FILES = ("files", "pixels", "windows", "hub")  # whose own content says everything


def media_identity(source: Source, inputs: Inputs) -> Any:
    """The content of ``root``; without one, names, sizes and times of the files that the cells name.

    What is joined to a source stands beside it.
    """
    if not inputs.media:
        return None
    own = _own_files(source, inputs)
    return [own, *(media_identity(part, inputs) for part in source.join)] if source.join else own


def _own_files(source: Source, inputs: Inputs) -> Any:
    if source.format in HOLDS_ITS_FILES:
        return None
    if source.root is not None:
        return assets.fingerprint(as_uri(source.root))
    columns = [kind.columns[0] for kind in inputs.media.values()]
    root = assets.resolve(as_uri(source.uri)).parent
    digest = blake2b(digest_size=16)
    for record in read(replace(source, optional=tuple(columns), join=(), where=None), []):
        cells = [record.values.get(column) for column in columns] if isinstance(record, Record) else []
        for cell in cells:
            for name in cell.files if isinstance(cell, Made) else [cell] if isinstance(cell, str) else []:
                digest.update(_told(root / (source.path or "{}").replace("{}", name)))
    return digest.hexdigest()


def _told(path: Path) -> bytes:
    try:
        facts = path.stat() if path.is_file() else None
    except OSError:  # a name that is too long
        facts = None
    if facts is None:
        return f"{path.name} is missing\n".encode("utf-8", "surrogatepass")
    return f"{path.name} {facts.st_size} {facts.st_mtime_ns}\n".encode("utf-8", "surrogatepass")
