"""Load files into a store: good lines become facts, broken ones are listed with their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pyoxigraph import Quad

from llm_lab import assets
from llm_lab.data.progress import progress
from llm_lab.data.readers import as_uri
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import RejectLog
from llm_lab.errors import DataError
from llm_lab.knowledge.formats.obo import read_obo
from llm_lab.knowledge.formats.rdf import RDF, read_rdf
from llm_lab.knowledge.formats.source import GraphSource
from llm_lab.knowledge.formats.tables import read_table
from llm_lab.knowledge.store import Store

READERS: dict[str, Callable[[Path, GraphSource], Iterator[Quad | Rejected]]] = {
    **dict.fromkeys(RDF, read_rdf),
    "obo": read_obo,
    **dict.fromkeys(("csv", "tsv", "json", "jsonl", "parquet", "python"), read_table),
}
KEY = "max_rejected"


@dataclass(kw_only=True)
class Loaded:
    """What came of a load.

    Attributes:
        rows: facts and broken lines, by source.
        duplicates: facts that stood there before, in the graph or further up in the files.
        rejected: total, and counts by reason.
    """

    rows: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


def load(
    store: Store,
    sources: Iterable[GraphSource],
    *,
    rejected: Path,
    keep: Path | None = None,
    max_rejected: float = 0.01,
    licence: str = "",
) -> Loaded:
    """Read files into a store.

    Args:
        store: gets the facts.
        sources: the files.
        rejected: list of the lines that cannot be used, JSON lines; made with the first.
        keep: where that list is left when there are too many of them; None for where it is.
        max_rejected: share of unusable lines above which the load fails.
        licence: shown before a download.

    Raises:
        AssetError: a file cannot be fetched.
        DataError: a file as a whole cannot be used, or too many lines were rejected.
    """
    done, before = Loaded(), len(store)
    with RejectLog(path=rejected) as rejects:
        store.extend(_quads(sources, rejects, done, licence))
    total = done.rows.total()
    rejects.check(rows=total, most=max_rejected, keep=keep or rejected, key=KEY)
    if not len(store):
        raise DataError(f"no fact can be used: {', '.join(source.uri for source in sources)}")
    done.rejected = rejects.summary()
    done.duplicates = total - rejects.reasons.total() - (len(store) - before)
    return done


def _quads(sources: Iterable[GraphSource], rejects: RejectLog, done: Loaded, licence: str) -> Iterator[Quad]:
    for source in sources:
        path = assets.resolve(as_uri(source.uri), licence=licence)
        if path.is_dir():
            raise DataError(f"{source.uri}: is a folder, and a file is wanted")
        count = 0
        for found in progress(READERS[str(source.format)](path, source), f"reading {path.name}"):
            if isinstance(found, Rejected):
                count += 1
                rejects.add(found)
            else:
                count += not Store.is_about(found)
                yield found
        done.rows[source.name or path.name] += count
