"""Which runs a config names by `run://`: a slip in a name is told before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.search_path import layers
from llm_lab.errors import AssetError

SCHEME, EXPERIMENT = "run://", "experiment"
_HASH = re.compile(r"[0-9a-f]{6,64}")


def run_faults(leaves: Iterable[tuple[str, Any]]) -> Iterator[Fault]:
    """Experiments that are none, and bare names that are neither the hash nor the folder of a run."""
    for key, value in leaves:
        if isinstance(value, str) and value.startswith(SCHEME):
            yield from _faults(key, value)


def _faults(key: str, text: str) -> Iterator[Fault]:
    from llm_lab.assets.parser import parse
    from llm_lab.assets.uri import RunUri

    try:
        uri = parse(text)
    except AssetError:  # told where it is resolved
        return
    if not isinstance(uri, RunUri):
        return
    known = _experiments()
    if uri.experiment in known if uri.experiment else _may_be_a_run(uri.place):
        return
    what = f"experiment `{uri.experiment}`" if uri.experiment else f"run `{uri.place}`"
    near = did_you_mean(uri.experiment or uri.place, known, form=f"{SCHEME}{EXPERIMENT}/{{}}")
    yield Fault(key=key, message=f"there is no {what}", suggestion=near)


def _may_be_a_run(place: str) -> bool:
    """Folders deeper down are told where they are resolved: they may come to be there."""
    return "/" in place or bool(_HASH.fullmatch(place)) or Path(place).expanduser().exists()


def _experiments() -> set[str]:
    folders = [layer.folder / EXPERIMENT for layer in layers()]
    return {
        str(file.relative_to(folder).with_suffix("")) for folder in folders for file in folder.rglob("*.yaml")
    }
