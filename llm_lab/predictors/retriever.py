"""Vectors of texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np

from llm_lab.data.predict_input import JSON
from llm_lab.models.heads import Head
from llm_lab.models.sentence import embed_texts, read_sentence_files
from llm_lab.predictors.predictor import Predictor, Row


class Retriever(Predictor):
    """``embedding`` of each row's text: a list of numbers, empty for a row without text.

    An output called ``*.npy`` holds the vectors alone, float32 [N, H], with zeros for rows without text.
    """

    head = Head.ENCODER
    answers = ("embedding",)

    def load(self, folder: Path) -> Any:
        """The encoder, with what the folder says of pooling."""
        self.pooling, self.normalize = read_sentence_files(folder)
        return super().load(folder)

    def text(self, row: Row) -> str:
        """The text; a list is one in pieces, as in training, and an anchor is transformed as there."""
        cell = row.get(self.columns[0]) or ""
        text = " ".join(cell).strip() if isinstance(cell, list) else str(cell).strip()
        is_anchor = self.columns[0] == self.facts["columns"].get("anchor")
        return self.transformed({"text": text}) if text and is_anchor else text

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield an answer per row."""
        texts = [self.text(row) for row in rows]
        vectors = embed_texts(
            self.model,
            self.tokenizer,
            [text for text in texts if text],
            pooling=self.pooling,
            normalize=self.normalize,
            max_length=int(self.facts["max_length"]),
            batch_size=self.batch_size,
        )
        found = iter(vectors.tolist())
        for text in texts:
            yield {"embedding": next(found) if text else []}

    def write(self, rows: Iterator[Row], stream: TextIO, suffix: str) -> None:
        """Write vectors alone to ``.npy``, else rows with them; in CSV as JSON lists."""
        if suffix == ".npy":
            vectors = [row["embedding"] or [0.0] * self.model.config.hidden_size for row in rows]
            np.save(cast("Any", stream).buffer, np.array(vectors, np.float32))
            return
        listed = (row | {"embedding": json.dumps(row["embedding"])} for row in rows)
        super().write(rows if suffix in JSON else listed, stream, suffix)
