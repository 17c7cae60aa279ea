"""Which entity of a graph answers a question, and by which path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from llm_lab.data.collate import collate
from llm_lab.data.graph_question_table import mask_of
from llm_lab.knowledge.construction.topic import Topic, TopicFinder
from llm_lab.knowledge.nearest_labels import proposed
from llm_lab.knowledge.triples import read_triples
from llm_lab.models.graph.reader import Reading
from llm_lab.models.graph.reader_folder import saved_reader, spec_of_reader
from llm_lab.models.graph.walk import Step
from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row

SHOWN = 5


class Answerer(Predictor):
    """``answer`` and its ``probability``, the entity that the question names (``topic``), and ``others``.

    ``path`` is the likeliest way from topic to answer, where the model walks paths: ``a -relation-> b -relation-> c``;
    empty where none leads there. A question in which no entity is found says so in ``note``, with the nearest labels.
    """

    head = Head.ENCODER
    answers = ("answer", "probability", "topic", "path", "others", "note")

    def load(self, folder: Path) -> Any:
        """The reader, and what finds topics."""
        self.triples = read_triples(folder)
        self.finder = TopicFinder(self.triples)
        return saved_reader(spec=spec_of_reader(folder), source=str(folder))

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield an answer per row."""
        texts = [" ".join(self.text(row).split()) for row in rows]
        topics = [self.finder.find(text) if text else None for text in texts]
        askable = [text if topic else "" for text, topic in zip(texts, topics, strict=True)]

        def batch(some: list[int]) -> Iterator[Row]:
            return self._batch([texts[i] for i in some], [topic for i in some if (topic := topics[i])])

        nothing = {**dict.fromkeys(self.answers, ""), "others": []}
        for text, found in zip(texts, self.by_text(askable, batch, nothing), strict=True):
            lost = bool(text) and not found["topic"]
            yield {**found, "note": self._lost(text)} if lost else found

    def _lost(self, text: str) -> str:
        near = [(self.triples.label(name), name) for _, name in self.finder.index.like(text)]
        return f"no entity of the graph is named{proposed(near)}"

    @torch.inference_mode()
    def _batch(self, texts: list[str], topics: list[Topic]) -> Iterator[Row]:
        mask, limit = mask_of(self.tokenizer), int(self.facts["max_length"])
        hidden = [topic.hidden(text, mask) for text, topic in zip(texts, topics, strict=True)]
        plain, masked = (collate(some, self.tokenizer, max_length=limit) for some in (texts, hidden))
        reading: Reading = self.model(
            **plain,
            masked_ids=masked["input_ids"],
            masked_mask=masked["attention_mask"],
            topics=torch.tensor([topic.entity for topic in topics]),
        )
        values, best = (
            self.model.mixed(reading.parts).exp().topk(min(SHOWN, len(self.triples.entities)), dim=1)
        )
        for row, topic in enumerate(topics):
            chances = None if reading.steps is None else reading.steps[row].exp()
            yield self._told(topic.entity, best[row].tolist(), values[row].tolist(), chances)

    def _told(self, topic: int, best: list[int], values: list[float], chances: torch.Tensor | None) -> Row:
        path = [] if chances is None else self.model.walker.best(topic, chances, best[0])
        others = [
            {"answer": self._name(one), "probability": round(value, 6)}
            for one, value in zip(best[1:], values[1:], strict=True)
        ]
        return {
            "answer": self._name(best[0]),
            "probability": round(values[0], 6),
            "topic": self._name(topic),
            "path": self._walked(topic, path),
            "others": others,
            "note": "",
        }

    def _walked(self, topic: int, path: list[Step]) -> str:
        if not path:
            return ""
        steps = [
            f" -{self.triples.label(self.triples.relations[one.relation])}-> {self._name(one.tail)}"
            for one in path
        ]
        return self._name(topic) + "".join(steps)

    def _name(self, entity: int) -> str:
        return self.triples.label(self.triples.entities[entity])
