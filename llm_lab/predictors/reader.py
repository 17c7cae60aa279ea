"""Answers to questions about contexts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor

from llm_lab.data.collate import pad, pad_column
from llm_lab.data.passages import Passage, passages, room
from llm_lab.data.predict_input import read_rows
from llm_lab.data.squad import Question, flatten
from llm_lab.errors import DataError
from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row
from llm_lab.tasks.question_answering import SETTINGS, best_spans
from llm_lab.tasks.segments import without_foreign_types
from llm_lab.tasks.squad_metrics import best_windows


class Reader(Predictor):
    """``answer``: the likeliest span of the context, empty where there is rather none; written as SQuAD predictions."""

    head = Head.QUESTION_ANSWERING
    answers = ("answer",)

    def read(self, source: str, column: str | None) -> Iterator[Row]:
        """Yield the questions of a SQuAD file, or of a table; ``column`` holds the question.

        Raises:
            DataError: a row has no context.
        """
        names = dict(self.facts["columns"])
        names["question"] = column or names["question"]
        self.facts = {**self.facts, "columns": names}
        if source.endswith(".json"):
            yield from (dict(record.values) for record in flatten(Path(source), names))
            return
        for number, row in enumerate(read_rows(source, column=names["question"]), start=1):
            if row.get(names["question"]) and names["context"] not in row:
                raise DataError(f"{source}: row {number} has no column `{names['context']}`")
            yield {names["id"]: str(number), **row}

    def write(self, rows: Iterator[Row], stream: TextIO, suffix: str) -> None:
        """Write one JSON object, ``{id: answer}``, as rows come; rows with their answer as ``.csv`` or ``.jsonl``."""
        if suffix and suffix != ".json":
            super().write(rows, stream, suffix)
            return
        stream.write("{")
        for number, row in enumerate(rows):
            entry = f"{_json(str(row[self.facts['columns']['id']]))}: {_json(row['answer'])}"
            stream.write(f",\n {entry}" if number else f"\n {entry}")
        stream.write("\n}\n")

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield an answer per row."""
        names, limit = self.facts["columns"], int(self.facts["max_length"]) - self.beside.tokens
        reading = getattr(self.model.config, SETTINGS)
        texts = [[str(row.get(names[role]) or "") for role in ("question", "context")] for row in rows]
        asked = [
            Question(id="", question=self.transformed({"text": question}), context=context)
            for question, context in texts
        ]
        left = room(asked, self.tokenizer, max_length=limit)
        usable = [
            n for n, texts in enumerate(texts) if all(map(str.strip, texts)) and left[n] > reading["stride"]
        ]
        questions = [asked[n] for n in usable]
        answers = [""] * len(rows)
        if questions:
            sizes = {"max_length": limit, "stride": reading["stride"]}
            shared = reading.get("shared_type", False)
            known = [self.annotations(question=one.question, context=one.context) for one in questions]
            cut = list(
                passages(
                    questions,
                    self.tokenizer,
                    **sizes,
                    shared=shared,
                    annotations=known,
                    beside=self.beside,
                )
            )
            for number, span in self._spans(cut, reading).items():
                answers[usable[number]] = questions[number].context[slice(*span)]
        yield from ({"answer": answer} for answer in answers)

    def _spans(self, cut: Sequence[Passage], reading: Row) -> dict[int, tuple[int, int]]:
        """Characters of the answer to each question, over all its passages; (0, 0) for none."""
        score, null, spans = self._scored(cut, reading["max_answer"])
        threshold = reading["null_threshold"]
        null = null - (torch.inf if threshold is None else threshold)
        numbers = torch.tensor([passage.question for passage in cut], dtype=torch.long)
        found = zip(*(part.tolist() for part in best_windows(numbers, score, null)), strict=True)
        return {number: (0, 0) if silent else spans[best] for number, best, silent in found}

    @torch.inference_mode()
    def _scored(self, cut: Sequence[Passage], longest: int) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
        """Score, score of no answer and span of every passage, those of about the same length together."""
        order = sorted(range(len(cut)), key=lambda n: len(cut[n].ids))
        score, null = torch.empty(len(cut)), torch.empty(len(cut))
        spans = [(0, 0)] * len(cut)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            inputs, places = self._inputs([cut[n] for n in chosen])
            outputs = self.model(**without_foreign_types(inputs, self.model))
            logits = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1).float()
            score[chosen], null[chosen], found = best_spans(logits, places, longest=longest)
            for number, span in zip(chosen, found, strict=True):
                spans[number] = span
        return score, null, spans

    def _inputs(self, some: Sequence[Passage]) -> tuple[dict[str, Any], Tensor]:
        """What the model gets, and the characters of the tokens, [B, T, 2]."""
        ids = [np.array(passage.ids, np.int32) for passage in some]
        inputs = pad(ids, pad_id=self.tokenizer.pad_token_id or 0)
        like = inputs["input_ids"]
        columns = {"token_type_ids": "types", **{name: name for name in self.beside.columns}}
        for name, field in columns.items():
            cells = [np.array(getattr(one, field)) for one in some]
            inputs[name] = pad_column(cells, like=like, fill=0)
        places = torch.full((*like.shape, 2), -1)
        for row, one in zip(places, some, strict=True):
            row[one.first : one.first + len(one.spans)] = torch.tensor(one.spans)
        return inputs, places


def _json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
