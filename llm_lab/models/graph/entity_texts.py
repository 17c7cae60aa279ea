"""The texts of entities and relations, as tokens: names; descriptions and names of neighbours where they are wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.neighbours import Neighbours
from llm_lab.knowledge.triples import Triples

Tokens = tuple[int, ...]
Edge = tuple[int, int]  # relation, from R on for inverses, and neighbour
INVERSE = "inverse"
BARE = re.compile(r"[\W_]*[a-zA-Z]?\d*[\W_]*")  # says nothing: a number, or Q64 as in Wikidata


def readable(name: str) -> str:
    """An identifier as words: ``__land_reform_NN_1`` and ``land_reform.n.01`` lose what joins them."""
    return " ".join(re.sub(r"[_\W]+", " ", name).split())


class Names:
    """What a model reads of an entity.

    Args:
        language: of labels and descriptions, else English, else any; identifiers stand in where there are no labels.
        max_length: tokens that are kept of a name.
        descriptions: tokens that are kept of an entity's description, which follows its name; None reads none.
        neighbours: names of neighbours in training that follow an entity's own; never the edge that is asked for.
    """

    def __init__(
        self,
        *,
        language: str = "en",
        max_length: int = 16,
        descriptions: int | None = None,
        neighbours: int = 0,
    ) -> None:
        if max_length < 1 or neighbours < 0 or (descriptions or 0) < 0:
            raise ConfigError(
                "model.names: max_length from 1, descriptions from 0 and neighbours from 0 are wanted"
            )
        self.language, self.max_length, self.neighbours = language, max_length, neighbours
        self.descriptions = descriptions or 0

    def of(self, triples: Triples, tokenizer: Any) -> EntityTexts:
        """The texts of a graph."""
        return EntityTexts(names=self, triples=triples, tokenizer=tokenizer)


class EntityTexts:
    """Tokens of names, put together as a model reads them (SimKGC, Wang et al. 2022).

    Args:
        names: what is read.
        triples: the graph.
        tokenizer: of the encoder.

    Raises:
        DataError: most entities have no name that could be read, and no description where such are read.
    """

    def __init__(self, *, names: Names, triples: Triples, tokenizer: Any) -> None:
        language, max_length, neighbours = names.language, names.max_length, names.neighbours
        found = _named(triples.entities, triples, language)
        told = [
            triples.description(name, language) if names.descriptions else "" for name in triples.entities
        ]
        bare = [not text and BARE.fullmatch(name) is not None for name, text in zip(found, told, strict=True)]
        if sum(bare) > len(found) / 2:
            raise DataError(
                f"data.labels: a model of texts reads names, and most entities have none in `{language}`: "
                f"{triples.entities[0]} for one"
            )
        self.relations, self.shown = len(triples.relations), neighbours
        forward = _named(triples.relations, triples, language)
        self.names = _tokens(tokenizer, found, max_length)
        self.told = _tokens(tokenizer, told, names.descriptions) if any(told) else [()] * len(found)
        asked = [*forward, *(f"{INVERSE} {name}" for name in forward)]
        self.asked = _tokens(tokenizer, asked, max_length)
        self.start: Tokens = _special(tokenizer, "cls_token_id", "bos_token_id")
        self.end: Tokens = _special(tokenizer, "sep_token_id", "eos_token_id")
        self.around = Neighbours(
            triples=triples.splits["train"], entities=len(found), relations=self.relations
        )

    def entity(self, number: int, without: Edge | None = None) -> Tokens:
        """The text of an entity; ``without`` is the edge that is asked for, which must not be told."""
        parts = self._own(number)
        if self.shown:
            edges = [edge for edge in self.around.of(number) if edge != without]
            others = dict.fromkeys(neighbour for _, neighbour in edges)
            parts += [self.names[neighbour] for neighbour in list(others)[: self.shown]]
        return self._joined(*parts)

    def query(self, source: int, relation: int, without: Edge | None = None) -> Tokens:
        """An entity, then the relation that is asked for."""
        return self.entity(source, without) + self.asked[relation] + self.end

    def triple(self, source: int, relation: int, target: int) -> Tokens:
        """A query and an answer, without neighbours."""
        return self._joined(*self._own(source), self.asked[relation], *self._own(target))

    def _own(self, number: int) -> list[Tokens]:
        """Name and, where there is one, description of an entity."""
        told = self.told[number]
        return [self.names[number], told] if told else [self.names[number]]

    def _joined(self, *parts: Tokens) -> Tokens:
        return self.start + tuple(token for part in parts for token in part + self.end)


def _named(identifiers: Sequence[str], triples: Triples, language: str) -> list[str]:
    found = ((name, triples.label(name, language)) for name in identifiers)
    return [readable(name) if label == name else label for name, label in found]


def _tokens(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[Tokens]:
    found = tokenizer(list(texts), add_special_tokens=False, truncation=True, max_length=max_length)
    return [tuple(ids) for ids in found["input_ids"]]


def _special(tokenizer: Any, *names: str) -> Tokens:
    found = (getattr(tokenizer, name, None) for name in names)
    return next(((token,) for token in found if token is not None), ())
