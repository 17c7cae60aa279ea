"""Ready graphs: what a choice of `knowledge=` names, loaded once and kept under its content hash."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab import assets
from llm_lab.config.compose import compose
from llm_lab.config.described import check_described
from llm_lab.config.fault import FaultsError
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.search_path import layers
from llm_lab.data.cache import DONE, content_hash, prepared
from llm_lab.data.readers import as_uri
from llm_lab.data.rejects import NAME
from llm_lab.errors import ConfigError
from llm_lab.knowledge.fact import LANGUAGE_STRING, Fact, Value
from llm_lab.knowledge.formats.source import GraphSource, format_of, parse_graph
from llm_lab.knowledge.load import load
from llm_lab.knowledge.names import LABEL
from llm_lab.knowledge.store import Store

log = logging.getLogger(__name__)
FORMAT = 3  # of the prepared folder; a change makes old folders unknown
STORE = "store"
GROUP = "knowledge"


def open_graph(place: str) -> Store:
    """The graph that a word names: a folder of a store, a file, or a choice of `knowledge=`; for reading.

    Raises:
        ConfigError: there is no such choice, and no such file.
        DataError: the file is no graph.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        return Store(path=path, read_only=True)
    if path.is_file() or "://" in place:
        return prepared_graph({"licence": "", "graph": {"file": {"uri": place}}})
    return prepared_graph(choice(place))


def choice(name: str) -> dict[str, Any]:
    """The node of a choice of the group `knowledge`, see `chosen`.

    Raises:
        ConfigError: it has a key that no graph has; the nearest one is proposed.
    """
    node: Any = OmegaConf.to_container(chosen(name, GROUP, "graph"), resolve=True)
    check_described(node, "llm_lab.knowledge.choice.Choice", GROUP)
    return dict(node)


def chosen(name: str, group: str, what: str) -> DictConfig:
    """A choice of a group, from the user's folders, packs or ours, with its interpolations.

    Args:
        name: of the choice.
        group: of the config.
        what: it is, for the message.

    Raises:
        ConfigError: there is none of that name; the nearest one is proposed.
    """
    found = {
        path.stem: path for layer in reversed(layers()) for path in (layer.folder / group).glob("*.yaml")
    }
    if name not in found:
        raise ConfigError(
            f"`{name}` is no file, no folder and no {what} of `{group}=`; {did_you_mean(name, found)}"
        )
    composed = compose([f"{group}={name}"])
    if composed.faults:
        raise FaultsError(faults=composed.faults)
    node: DictConfig = composed.config[group]
    return node


def prepared_graph(node: Mapping[str, Any], *, max_rejected: float = 0.01) -> Store:
    """The store of a knowledge node, made where its content hash is not there yet; open for reading.

    Args:
        node: ``licence``, and ``graph`` (see `GraphSource`), or ``source`` (tables of triples by split) with
            ``labels`` (language -> URI of labels by identifier).
        max_rejected: share of broken lines above which the load fails.
    """
    sources = sources_of(node)
    recipe = {
        "format": [STORE, FORMAT],
        "sources": graph_identity(sources),
        "labels": {
            language: assets.fingerprint(as_uri(uri)) for language, uri in (node.get("labels") or {}).items()
        },
        "max_rejected": max_rejected,
    }

    def make(folder: Path) -> None:
        store = Store(path=folder / STORE)
        keep = folder.parent / f"{folder.name.partition('.')[0]}.rejected.jsonl"
        try:
            done = load(
                store,
                sources,
                rejected=folder / NAME,
                keep=keep,
                max_rejected=max_rejected,
                licence=str(node.get("licence") or ""),
            )
            store.add(_labels(node))
        finally:
            store.close()
        mapped = any(source.subject for source in sources)  # rows of which may well say the same of a tail
        told = {"rejected": done.rejected, "duplicates": 0 if mapped else done.duplicates}
        (folder / DONE).write_text(json.dumps(told) + "\n", encoding="utf-8")

    folder = prepared(content_hash(recipe), make)
    _tell(folder)
    return Store(path=folder / STORE, read_only=True)


def _tell(folder: Path) -> None:
    """Say that the graph goes without some lines, and where they are listed."""
    if rejected := _loaded(folder).get("rejected", {}).get("total"):
        log.warning("%d broken lines of the graph are left out, see %s", rejected, folder / NAME)


def duplicates(store: Store) -> int:
    """How many facts of the files that a prepared graph was made of stood there before; 0 of any other graph."""
    return int(_loaded(store.path.parent).get("duplicates", 0)) if store.path else 0


def _loaded(folder: Path) -> dict[str, Any]:
    file = folder / DONE
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def graph_identity(sources: Iterable[GraphSource]) -> list[dict[str, Any]]:
    """What the facts of files depend on, to be hashed: how they are read, and their contents."""
    return [{**asdict(one), "content": assets.fingerprint(as_uri(one.uri))} for one in sources]


def sources_of(node: Mapping[str, Any]) -> tuple[GraphSource, ...]:
    """The files of a knowledge node.

    Raises:
        ConfigError: it names none.
    """
    if node.get("graph"):
        return parse_graph(node["graph"], f"{GROUP}.graph")
    source = node.get("source")
    if not source:
        raise ConfigError("the graph names neither `graph` nor `source`")
    entries = {"train": source} if isinstance(source, str) else source
    tables = {name: _table(entry) for name, entry in entries.items()}
    return parse_graph(tables, f"{GROUP}.source")


def _table(entry: Any) -> Any:
    """An entry of `source`, which is a table of tabs where its name tells nothing else."""
    found = {"uri": entry} if isinstance(entry, str) else entry
    if not isinstance(found, Mapping) or not isinstance(found.get("uri"), str):
        return found  # which is told with its key
    form = found.get("format") or format_of(found["uri"], f"{GROUP}.source")
    return {**found, "format": "tsv" if form == "text" else form}


def _labels(node: Mapping[str, Any]) -> list[Fact]:
    from llm_lab.data.triple_rows import read_labels

    found = read_labels(node.get("labels") or {}, licence=str(node.get("licence") or ""))
    return [
        Fact(name, LABEL, Value(text, LANGUAGE_STRING, language))
        for language, labels in found.items()
        for name, text in labels.items()
    ]
