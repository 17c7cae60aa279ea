"""Annotators that know a graph: what its entities are, and which numbers they have, where a text names them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llm_lab import assets
from llm_lab.data.annotations import BRANCHES, ENTITIES, Annotation, Annotator
from llm_lab.data.readers import as_uri
from llm_lab.errors import ConfigError, RunError
from llm_lab.knowledge.graphs import graph_identity, prepared_graph, sources_of
from llm_lab.knowledge.injection.lexicon import ENGLISH, FILE, Entry, Lexicon, from_store, read, write
from llm_lab.knowledge.triples import ENTITIES as NAMES
from llm_lab.knowledge.triples import read_names

FORMAT = 1  # of what is written; a change makes prepared data unknown


class Linking(Annotator):
    """Finds the entities of a graph in the texts of a row, by their labels and aliases.

    Args:
        graph: node of the graph, as `knowledge=` gives it.
        cased: see `Lexicon`.
        shortest: see `Lexicon`.

    Raises:
        ConfigError: there is no graph.
    """

    def __init__(self, *, graph: Mapping[str, Any] | None, cased: bool, shortest: int) -> None:
        if not graph:
            raise ConfigError("graph: nothing is known without a graph; choose one with `knowledge=`")
        self.graph, self.cased, self.shortest = graph, cased, shortest
        self._lexicon: Lexicon | None = None

    @property
    def lexicon(self) -> Lexicon:
        """Of the graph, which is fetched and loaded where nothing was taken over by `load`."""
        if self._lexicon is None:
            made = self.make()
            self._lexicon = Lexicon(made.entries, cased=self.cased, shortest=self.shortest)
        return self._lexicon

    @abstractmethod
    def make(self) -> Lexicon:
        """Make it from the sources."""

    @abstractmethod
    def about(self, number: int, entry: Entry) -> dict[str, Any]:
        """What an annotation says of an entity of this number."""

    def annotate(self, name: str, text: str) -> Iterable[Annotation]:
        """See `Annotator.annotate`."""
        for mention, number in self.lexicon.link(text):
            about = self.about(number, self.lexicon.entries[number])
            if any(about.values()):
                yield Annotation(field=name, start=mention.start, end=mention.end, **about)

    def identity(self) -> Any:
        """Contents of the files of the graph."""
        labels = self.graph.get("labels") or {}
        found = {language: assets.fingerprint(as_uri(uri)) for language, uri in labels.items()}
        return [FORMAT, graph_identity(sources_of(self.graph)), found]

    def save(self, folder: Path) -> None:
        """Write the lexicon."""
        write(folder, self.lexicon)

    def load(self, folder: Path) -> None:
        """Read the lexicon.

        Raises:
            RunError: there is none.
        """
        if not (folder / FILE).is_file():
            raise RunError(f"{folder}: the model was trained with a graph, and there is no {FILE}")
        self._lexicon = read(folder, cased=self.cased, shortest=self.shortest)


class Verbalize(Linking):
    """Facts about the entities that a text names, in words behind the name (Liu et al. 2020, K-BERT,
    https://arxiv.org/abs/1909.07606).

    The words are for the model alone: tags, answers and what reports show belong to the words of the text.

    Args:
        graph: see `Linking`.
        facts: about an entity, at most.
        tokens: of all facts in what the model gets at once, at most; texts are cut to leave so much room.
        language: of the labels of relations and tails; English stands in for labels that there are not, and for None.
        pattern: of a fact, over ``relation`` and ``tail``.
        visibility: let each fact be seen by its own entity alone, at the places behind its name, and the rest of the
            text stay where it was; the model needs `llm_lab.knowledge.injection.visibility.Visibility` for that.
        cased: see `Lexicon`.
        shortest: see `Lexicon`.
    """

    def __init__(
        self,
        *,
        graph: Mapping[str, Any] | None,
        facts: int = 2,
        tokens: int = 48,
        language: str | None = None,
        pattern: str = "({relation}: {tail})",
        visibility: bool = False,
        cased: bool = True,
        shortest: int = 3,
    ) -> None:
        super().__init__(graph=graph, cased=cased, shortest=shortest)
        for name, value in (("facts", facts), ("tokens", tokens)):
            if value < 1:
                raise ConfigError(f"{name}: at least 1 is wanted, found {value}")
        try:
            pattern.format(relation="", tail="")
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"pattern: only {{relation}} and {{tail}} may stand in braces: {pattern!r}"
            ) from error
        self.facts, self.tokens, self.pattern = facts, tokens, pattern
        self.language = language or ENGLISH
        self.columns = (BRANCHES,) if visibility else ()

    def make(self) -> Lexicon:
        """See `Linking.make`."""
        return from_store(prepared_graph(self.graph), most=self.facts, language=self.language)

    def about(self, number: int, entry: Entry) -> dict[str, Any]:
        """The facts."""
        del number
        told = [self.pattern.format(relation=relation, tail=tail) for relation, tail in entry.facts]
        return {"facts": tuple(told[: self.facts])}


class EntityNumbers(Linking):
    """Numbers of entities at the tokens that name them, for embeddings of a run of link prediction.

    Args:
        graph: see `Linking`.
        source: URI of the run, whose entities are numbered as it numbers them.
        cased: see `Lexicon`.
        shortest: see `Lexicon`.
    """

    columns: tuple[str, ...] = (ENTITIES,)

    def __init__(
        self, *, graph: Mapping[str, Any] | None, source: str, cased: bool = True, shortest: int = 3
    ) -> None:
        super().__init__(graph=graph, cased=cased, shortest=shortest)
        self.source = source

    def _names(self) -> Path:
        return assets.saved_in(assets.resolve(as_uri(self.source))) / NAMES

    def identity(self) -> Any:
        """Contents of the graph, and the order of the entities."""
        return [*super().identity(), assets.sha256_of(self._names())]

    def make(self) -> Lexicon:
        """See `Linking.make`."""
        return from_store(prepared_graph(self.graph), most=0, only=read_names(self._names()))

    def about(self, number: int, entry: Entry) -> dict[str, Any]:
        """The number, from 1."""
        del entry
        return {"entity": number + 1}
