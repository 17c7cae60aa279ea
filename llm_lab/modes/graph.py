"""Look at a knowledge graph and at an entity of it, ask it, convert it, or build one from tables or text."""

from __future__ import annotations

import csv
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from llm_lab.config.nearest import did_you_mean
from llm_lab.config.words import Words
from llm_lab.errors import ConfigError

SHOWN = 20  # rows of a table of figures
MOST_SECONDS = 1_000_000  # that a query may be given
log = logging.getLogger(__name__)


def main(words: Words) -> int:
    """`llm_lab graph ACTION [GRAPH]`; raises ConfigError for an action that there is not."""
    action = words.positionals[0]
    if action not in ACTIONS:
        raise ConfigError(f"graph {action}: {did_you_mean(action, ACTIONS)}")
    if surplus := words.positionals[3 if action == "find" else 2 :]:
        raise ConfigError(f"graph {action}: `{surplus[0]}` is a word too many")
    return ACTIONS[action](words)


def _place(words: Words) -> str:
    """The word that names the graph, `GRAPH` or `knowledge=GRAPH`."""
    named = [word.removeprefix("knowledge=") for word in words.overrides if word.startswith("knowledge=")]
    found = [*words.positionals[1:], *named]
    if len(found) != 1:
        raise ConfigError(
            f"graph {words.positionals[0]} needs one GRAPH: a choice of `knowledge=`, a file, or a folder of a store"
        )
    return found[0]


def _stats(words: Words) -> int:
    from llm_lab.knowledge.graphs import open_graph
    from llm_lab.knowledge.statistics import statistics

    found = statistics(open_graph(_place(words)))
    print(f"facts      {sum(found.facts.values()):,} ({_by_split(found.facts)})")
    print(f"triples    {sum(found.links.values()):,} of two entities ({_by_split(found.links)})")
    print(
        f"entities   {found.entities:,}; in {found.degree[0]:g} triples each (median), {found.degree[1]:,} at most"
    )
    relations = [[one.relation, one.triples, one.heads, one.tails, one.kind] for one in found.relations]
    _table(("relation", "triples", "heads", "tails", "kind"), relations)
    _table(("type", "entities"), found.types.most_common())
    literals = [[relation, kind, count] for (relation, kind), count in found.literals.most_common()]
    _table(("attribute", "type", "facts"), literals)
    _table(("language", "labels"), found.languages.most_common())
    return 0


def _by_split(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in counts.items())


def _validate(words: Words) -> int:
    """Exit code 1 where a finding is a fault."""
    from llm_lab.knowledge.graphs import duplicates, open_graph
    from llm_lab.knowledge.validation import validate

    store = open_graph(_place(words))
    found = validate(store, duplicates=duplicates(store))
    faults = [one for one in found if one.is_fault]
    rows = [[one.kind, one.place, one.count, "; ".join(one.examples)] for one in found]
    _table(("what", "where", "how often", "such as"), rows, shown=len(rows))
    notes = len(found) - len(faults)
    print(f"{len(faults)} kinds of faults, {notes} notes" if found else "nothing odd")
    return 1 if faults else 0


def _find(words: Words) -> int:
    """Everything that the graph says about one entity."""
    from llm_lab.knowledge.fact import Value
    from llm_lab.knowledge.graphs import open_graph

    *_, name = words.positionals
    store = open_graph(_place(replace(words, positionals=words.positionals[:-1])))
    found = store.find(name)
    print(f"{found}: {store.label(found)}")
    told = [
        [fact.relation, fact.tail.text, fact.tail.language or fact.tail.datatype]
        if isinstance(fact.tail, Value)
        else [fact.relation, fact.tail, store.label(fact.tail)]
        for fact in store.facts(found)
    ]
    _table(("relation", "tail", "label, language or type"), sorted(told))
    others = [[fact.head, store.label(fact.head), fact.relation] for fact in store.facts(tail=found)]
    _table(("head", "label", "relation to it"), sorted(others))
    return 0


def _query(words: Words) -> int:
    from llm_lab.knowledge.graphs import open_graph
    from llm_lab.knowledge.query_names import names_in
    from llm_lab.knowledge.timed_query import SECONDS, query_within

    text = words.flags.get("query")
    if text is None:
        raise ConfigError("graph query needs --query 'SELECT ...' (a file with @FILE; - is standard input)")
    store, query = open_graph(_place(words)), _text(str(text))
    found = query_within(store, query, seconds=_seconds(words, SECONDS))
    for line in store.absent(names_in(query)):
        log.warning("%s", line)
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(found.columns)
    writer.writerows(found.rows)
    return 0


def _seconds(words: Words, usual: float) -> float:
    given = words.flags.get("seconds", usual)
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MOST_SECONDS:
        raise ConfigError(
            f"--seconds: a number above 0, at most {MOST_SECONDS:,}, is wanted, found {given!r}"
        )
    return seconds


def _text(given: str) -> str:
    if given == "-":
        return sys.stdin.read()
    if not given.startswith("@"):
        return given
    path = Path(given[1:])
    if not path.is_file():
        raise ConfigError(f"--query: there is no file {path}")
    return path.read_text(encoding="utf-8")


def _convert(words: Words) -> int:
    from llm_lab.knowledge.formats.write import write
    from llm_lab.knowledge.graphs import open_graph

    store, output = open_graph(_place(words)), _output(words)
    form = words.flags.get("format")
    done = write(store, output, form=str(form) if form else None)
    notes = {"have no words in it": done.left, "lose their language or type": done.changed}
    told = "".join(f"; {count:,} {what}" for what, count in notes.items() if count)
    print(f"wrote {done.facts:,} facts to {output}{told}")
    if done.splits:
        print(f"left out, since the format holds the training split only: {_by_split(done.splits)}")
    return 0


def _entail(words: Words) -> int:
    from llm_lab.knowledge.graphs import open_graph
    from llm_lab.knowledge.reasoning.entailment import follow

    store = open_graph(_place(words))
    output, form = _output(words), words.flags.get("format")
    semantics = str(words.flags.get("semantics", "owl_rl"))
    count = follow(store, output, semantics=semantics, form=str(form) if form else None)
    print(f"wrote {count:,} facts that follow by {semantics} to {output}")
    return 0


def _build(words: Words) -> int:
    from llm_lab.knowledge.construction.build import build_graph
    from llm_lab.knowledge.formats.write import write

    flags = {name: str(value) for name, value in words.flags.items() if isinstance(value, str)}
    table = words.positionals[1] if len(words.positionals) > 1 else None
    store, told = build_graph(
        table=table,
        overrides=words.overrides,
        subject=flags.get("subject"),
        entities=tuple(filter(None, flags.get("entities", "").split(","))),
        graph=flags.get("graph"),
        tagger=flags.get("tagger"),
        encoder=flags.get("encoder"),
        rejected=_output(words).with_suffix(".rejected.jsonl"),
        classes="classes" in words.flags,
    )
    done = write(store, _output(words), form=flags.get("format"))
    print(f"{told}; wrote {done.facts:,} facts to {_output(words)}")
    return 0


def _output(words: Words) -> Path:
    given = words.flags.get("output")
    if given is None:
        raise ConfigError(f"graph {words.positionals[0]} needs --output FILE; its suffix tells the format")
    return Path(str(given))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, shown: int = SHOWN) -> None:
    """Print rows under a head, as many as are shown; nothing where there are none."""
    every = [
        ["" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row]
        for row in rows
    ]
    if not every:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, cell in zip(columns, every[0], strict=True):
        number = cell.replace(",", "").isdecimal()
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in every[:shown]:
        table.add_row(*row)
    console = Console(highlight=False, markup=False, emoji=False)  # `urn:x:A` is a name, no picture
    console.print()
    console.print(table)
    if len(every) > shown:
        console.print(f"... and {len(every) - shown:,} more")


ACTIONS: dict[str, Callable[[Words], int]] = {
    "stats": _stats,
    "validate": _validate,
    "find": _find,
    "query": _query,
    "convert": _convert,
    "entail": _entail,
    "build": _build,
}
