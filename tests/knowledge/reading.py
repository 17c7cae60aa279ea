"""A file as a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llm_lab.knowledge.fact import Fact
from llm_lab.knowledge.formats.source import parse_graph
from llm_lab.knowledge.load import Loaded, load
from llm_lab.knowledge.store import Store


def read(path: Path, **values: Any) -> tuple[Store, Loaded, list[dict[str, Any]]]:
    """Load a file: the store, what came of it, the list of rejected lines."""
    store, listed = Store(), path.parent / "rejected.jsonl"
    listed.unlink(missing_ok=True)
    done = load(store, parse_graph({"uri": str(path), **values}), rejected=listed, max_rejected=0.9)
    lines = listed.read_text().splitlines() if listed.is_file() else []
    return store, done, [json.loads(line) for line in lines]


def shown(store: Store) -> set[Fact]:
    return set(store.facts(evidence=True))
