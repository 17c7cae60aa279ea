"""Build a graph from a table, each column a relation, or from the texts of any data module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_lab.config import build
from llm_lab.config.compose import compose
from llm_lab.config.fault import FaultsError
from llm_lab.data.readers import as_uri
from llm_lab.data.source import SPLITS
from llm_lab.errors import ConfigError
from llm_lab.knowledge.construction.linker import Encoder, Linker, SentenceEncoder
from llm_lab.knowledge.construction.texts import TextFacts
from llm_lab.knowledge.formats.source import GraphSource, format_of
from llm_lab.knowledge.formats.tables import inferred
from llm_lab.knowledge.graphs import chosen, open_graph
from llm_lab.knowledge.load import load
from llm_lab.knowledge.store import Store

if TYPE_CHECKING:  # torch would be imported for a table
    from llm_lab.data.module import DataModule


def build_graph(
    *,
    table: str | None,
    overrides: Sequence[str],
    subject: str | None,
    entities: Sequence[str],
    graph: str | None,
    tagger: str | None,
    encoder: str | None = None,
    rejected: Path,
    classes: bool = False,
) -> tuple[Store, str]:
    """A graph in memory, and a line that says what was read.

    Args:
        table: a file of a table; None where ``overrides`` choose a data module, ``data=wnut17`` say.
        overrides: words of a config, for its data.
        subject: the column of a table that holds a row's entity.
        entities: columns of a table whose values are entities; the others are attributes.
        graph: whose entities are looked for in texts; see `open_graph`.
        tagger: run directory, or ``run://`` URI, of a token classification: its types are relations of ``graph``,
            or kinds of entities.
        encoder: that ranks the entities of one name by the text; see `encoder_of`.
        rejected: list of broken lines.
        classes: look for the names of classes of ``graph`` as well.

    Raises:
        ConfigError: neither a table nor data is named, or nothing that could be found in texts.
    """
    if table is not None:
        if subject is None:
            raise ConfigError("graph build: --subject COLUMN names the column that holds a row's entity")
        return from_table(table, subject=subject, entities=entities, rejected=rejected)
    if not any(word.startswith(("data=", "+experiment=")) for word in overrides):
        raise ConfigError(
            "graph build needs a table (graph build TABLE --subject COLUMN) or texts (data=NAME)"
        )
    if graph is None and tagger is None:
        raise ConfigError(
            "graph build data=...: --graph GRAPH names the entities to look for, or --tagger RUN finds them"
        )
    if encoder is not None and graph is None:
        raise ConfigError("graph build data=...: --encoder chooses among the entities of --graph GRAPH")
    source = None if encoder is None else encoder_of(encoder)
    return from_texts(data_of(overrides), graph=graph, tagger=tagger, encoder=source, classes=classes)


def encoder_of(named: str) -> str:
    """Asset URI of the text encoder that a word names: a choice of `model=`, a folder, or a URI.

    Raises:
        ConfigError: there is none, or its weights come from no source.
    """
    if "://" in named or Path(named).expanduser().is_dir():
        return as_uri(named)
    source = chosen(named, "model", "encoder").get("source")
    if not source:
        raise ConfigError(
            f"--encoder {named}: its weights would be drawn at random; a pretrained one is wanted"
        )
    return str(source)


def from_table(table: str, *, subject: str, entities: Sequence[str], rejected: Path) -> tuple[Store, str]:
    """A graph of a table: a row is an entity, a column a relation, to entities or to literals."""
    source = GraphSource(uri=table, format=format_of(table, "graph build"), subject=subject)
    source = inferred(source, entities=entities)
    store = Store()
    done = load(store, [source], rejected=rejected)
    refused = f", {done.rejected['total']} lines rejected ({rejected})" if done.rejected["total"] else ""
    return store, f"read {table}{refused}"


def data_of(overrides: Sequence[str]) -> DataModule:
    """The data module that the words choose.

    Raises:
        FaultsError: the words compose to no config.
    """
    from llm_lab.data.module import DataModule

    composed = compose(overrides)
    if composed.faults:
        raise FaultsError(faults=composed.faults)
    return build(composed.config.data, expected=DataModule, key="data")


def from_texts(
    data: DataModule,
    *,
    graph: str | None,
    tagger: str | None,
    encoder: str | None = None,
    classes: bool = False,
) -> tuple[Store, str]:
    """A graph of what texts mention: their entities, and relations between those that stand together.

    Args:
        data: has the texts.
        graph: see `build_graph`.
        tagger: see `build_graph`.
        encoder: asset URI of a text encoder that ranks the entities of one name by the text.
        classes: see `build_graph`.
    """
    known = open_graph(graph) if graph else None
    ranking: Encoder | None = SentenceEncoder(source=encoder) if encoder else None
    linker = Linker(store=known, encoder=ranking, classes=classes) if known else None
    found = TextFacts(linker=linker, tagger=tagger)
    store = Store()
    store.add(found.facts(_texts(data)))
    told = f"read {found.texts:,} texts: {found.mentions:,} mentions of {found.entities:,} entities"
    return store, f"{told}, {found.relations:,} relations"


def _texts(data: DataModule) -> Iterator[tuple[str, str]]:
    """Name and words of every text of a data module."""
    data.prepare()
    for split in SPLITS:
        for row in data.rows(split):
            yield f"text/{split}/{row['index']}", text_of(row)


def text_of(row: dict[str, Any]) -> str:
    """The words of a row: its text, its tokens, else all of its texts."""
    if isinstance(row.get("text"), str):
        return str(row["text"])
    if isinstance(row.get("tokens"), list):
        return " ".join(map(str, row["tokens"]))
    return "\n".join(value for name, value in row.items() if isinstance(value, str) and name != "label")
