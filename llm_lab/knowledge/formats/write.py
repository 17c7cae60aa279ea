"""Write a graph into a file of any format that a graph is read from."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from llm_lab.config.nearest import did_you_mean
from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.fact import TRAIN, Fact, Value
from llm_lab.knowledge.formats.obo import write_obo
from llm_lab.knowledge.formats.rdf import RDF, write_rdf
from llm_lab.knowledge.formats.source import FORMATS, format_of
from llm_lab.knowledge.store import Store

WITH_SPLITS = {"nquads", "trig", "jsonld", "csv", "tsv"}
COLUMNS = ("head", "relation", "tail", "datatype", "language", "confidence", "source", "split")
WRITTEN = (*RDF, "csv", "tsv", "obo")


@dataclass(frozen=True, kw_only=True)
class Written:
    """What stands in a file.

    Attributes:
        facts: that it holds.
        left: facts of the training split that the format has no words for (OBO alone leaves some out).
        changed: facts of which it does not keep the language or the type (OBO again).
        splits: those that are left out, with the number of their facts.
    """

    facts: int
    left: int = 0
    changed: int = 0
    splits: Mapping[str, int] = field(default_factory=dict)


def write(store: Store, path: Path, *, form: str | None = None) -> Written:
    """Write a graph.

    Tables have the columns ``head``, ``relation`` and ``tail``, and those further ones that some fact needs. Formats
    that hold one split (`WITH_SPLITS` are the others) get the training split only.

    Args:
        store: the graph.
        path: appears under its name when it is complete.
        form: one of ``FORMATS``; None tells it from the suffix.

    Raises:
        ConfigError: no such format, or one that is only read.
        DataError: the format cannot hold what the graph says, or holds one split and the graph has no training split;
            or the file cannot be written.
    """
    form = form or format_of(path.name, "--output")
    if form not in WRITTEN:
        verdict = "only read" if form in FORMATS else "unknown"
        raise ConfigError(f"--format: {form} is {verdict}; {did_you_mean(form, WRITTEN)}")
    splits = () if form in WITH_SPLITS else tuple(one for one in store.splits if one != TRAIN)
    if splits and TRAIN not in store.splits:
        raise DataError(
            f"{form} holds the training split only, and the graph has none; take nquads, csv or tsv"
        )
    temporary = path.with_name(f".{path.name}.tmp")
    left = changed = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if form in RDF:
            write_rdf(store.quads(None if form in WITH_SPLITS else TRAIN), temporary, form)
        elif form == "obo":
            left, changed = write_obo(store, temporary)
        else:
            _table(store, temporary, form)
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    missing = {split: sum(1 for _ in store.facts(split=split)) for split in splits}
    facts = len(store) - left - sum(missing.values())
    return Written(facts=facts, left=left, changed=changed, splits=missing)


def _table(store: Store, path: Path, form: str) -> None:
    used = [name for name in COLUMNS if name in _used(store)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        if form == "csv":
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(used)
            writer.writerows([row[name] for name in used] for row in _rows(store))
            return
        stream.write("\t".join(used) + "\n")
        for row in _rows(store):
            if any(mark in cell for cell in row.values() for mark in "\n\r\t"):
                place = f"{row['head']} {row['relation']}"
                raise DataError(f"tsv: {place}: a cell has a tab or a line break in it; take csv")
            stream.write("\t".join(row[name] for name in used) + "\n")


def _used(store: Store) -> set[str]:
    """The columns that some fact fills."""
    found = set(COLUMNS[:3])
    for row in _rows(store):
        found |= {name for name in COLUMNS[3:] if row[name]}
        if len(found) == len(COLUMNS):
            break
    return found


def _rows(store: Store) -> Iterator[dict[str, str]]:
    many = store.splits != (TRAIN,)
    for fact in store.facts(evidence=True):
        yield _row(fact, split=fact.split if many else "")


def _row(fact: Fact, *, split: str) -> dict[str, str]:
    value = fact.tail if isinstance(fact.tail, Value) else None
    return {
        "head": fact.head,
        "relation": fact.relation,
        "tail": value.text if value else str(fact.tail),
        "datatype": value.datatype if value and not value.language else "",
        "language": value.language if value else "",
        "confidence": "" if fact.confidence is None else f"{fact.confidence:g}",
        "source": fact.source,
        "split": split,
    }
