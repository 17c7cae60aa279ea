"""A rule that says before any data are made what is wrong with the files of a graph; it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator

from llm_lab.config.fault import Fault
from llm_lab.config.rules import Values, get, rule
from llm_lab.errors import ConfigError

GRAPH = "knowledge.graph"


@rule
def the_files_of_a_graph_are_described(values: Values) -> Iterator[Fault]:
    """Each names its URI, and its columns, types and patterns are such as the store can read."""
    from llm_lab.knowledge.formats.source import parse_graph

    graph = get(values, GRAPH)
    if not isinstance(graph, str | dict) or not graph:
        return
    try:
        parse_graph(graph, GRAPH)
    except ConfigError as error:
        key, _, message = str(error).partition(": ")
        yield Fault(key=key, message=message)
