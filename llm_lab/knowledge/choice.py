"""What a file of `conf/knowledge/` may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(kw_only=True)
class Choice:
    """A choice of `knowledge=`: a graph, and what suits it.

    Attributes:
        name: of the choice.
        licence: of its files.
        source: tables of triples: a URI, or a mapping from a split to a URI or to the keys of a `GraphSource`.
        graph: in the place of ``source``: a URI, or a mapping from a name to such, in any format.
        negatives: tables of triples that are known to be false, by split.
        labels: language -> URI of labels by identifier.
        questions: URI of questions over the graph.
        recipe: what the experiments read that train on it.
    """

    name: str = ""
    licence: str = ""
    source: str | Mapping[str, Any] | None = None
    graph: str | Mapping[str, Any] | None = None
    negatives: Mapping[str, Any] | None = None
    labels: Mapping[str, Any] | None = None
    questions: str | Mapping[str, Any] | None = None
    recipe: Mapping[str, Any] | None = None
