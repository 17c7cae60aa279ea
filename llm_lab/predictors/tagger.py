"""Tags for the words of sentences."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import torch

from llm_lab.data.alignment import IGNORED, Aligner
from llm_lab.data.conll import read_conll
from llm_lab.data.predict_input import JSON, read_rows
from llm_lab.data.record import Rejected
from llm_lab.data.source import Source, guess_format
from llm_lab.data.tagged import tag_batch
from llm_lab.data.tags import characters, encode, entities, normal, scheme_of
from llm_lab.data.text_files import STANDARD_INPUT, open_text
from llm_lab.errors import DataError
from llm_lab.models.adapted import base_of
from llm_lab.models.heads import Head
from llm_lab.predictors.predictor import Predictor, Row
from llm_lab.tasks.crf import chain, sentences, transitions

log = logging.getLogger(__name__)
TABLES = {"csv": "text", "json": "tokens", "jsonl": "tokens", "parquet": "tokens"}


class Tagger(Predictor):
    """``tags``, one for each of a row's ``tokens``; none for a row without words.

    A file is CoNLL where its first line has a tab or its name ends in ``.conll``: the first column holds the word, the
    last, where there are several, a tag, which stays beside that of the model. In a table the tokens are a list, or a
    text whose words are parted by blanks; so is every line of any other file.
    """

    head = Head.TOKEN_CLASSIFICATION
    answers = ("tags",)

    def load(self, folder: Path) -> Any:
        """The model, the way to its tokens, and the CRF where it was trained with one."""
        length, stride = int(self.facts["max_length"]), self.facts.get("stride")
        facts = self.beside.tokens
        self.aligner = Aligner(tokenizer=folder, max_length=length, stride=stride, facts=facts)
        labels: list[str] = self.facts["labels"]
        saved = transitions(base_of(folder))
        self.chain = None if saved is None else chain(labels, base_of(folder))
        return super().load(folder)

    def read(self, source: str, column: str | None) -> Iterator[Row]:
        """See the class."""
        name, path = guess_format(source), Path(source)
        if name in TABLES:
            for row in read_rows(source, column=column or TABLES[name]):
                yield {"tokens": row.pop(column or TABLES[name], None), **row}
        elif fields := _columns(path):
            yield from self._conll(path, tag=-1 if fields > 1 else None)
        else:
            yield from read_rows(source, column="tokens", format="text")

    def _conll(self, path: Path, *, tag: int | None) -> Iterator[Row]:
        for record in read_conll(path, Source(uri=str(path)), token=0, tag=tag, comment=None):
            if isinstance(record, Rejected):
                log.warning("%s:%d: %s; the sentence gets no tags", record.file, record.line, record.reason)
                yield {"tokens": []}
            else:
                yield {name: record.values[name] for name in ("tokens", "tags") if name in record.values}

    def answered(self, rows: Any) -> Iterator[Row]:
        """Yield the rows with what is added to them; in the model's units, words or characters."""
        return super().answered(self._cut(row) for row in rows)

    def _cut(self, row: Row) -> Row:
        given = row.get("tokens")
        words = given.split() if isinstance(given, str) else [str(word) for word in given or []]
        if self.facts["columns"].get("unit") != "character":
            return {**row, "tokens": words}
        tags = row.get("tags")
        found = entities([normal(tag) for tag in tags]) if tags else []
        words, found = characters(words, found)
        cut = {**row, "tokens": words}
        return cut | ({"tags": encode(found, len(words), scheme_of(self.facts["labels"]))} if tags else {})

    def answer(self, rows: list[Row]) -> Iterator[Row]:
        """Yield the tags of each row."""
        words = [row["tokens"] for row in rows]
        found: dict[int, list[str]] = {}
        for indices in self.by_length([" ".join(row) for row in words]):
            found |= zip(indices, self._batch([words[index] for index in indices]), strict=True)
        for index in range(len(rows)):
            yield {"tags": found.get(index, [])}

    @torch.inference_mode()
    def _batch(self, words: list[list[str]]) -> Iterator[list[str]]:
        beside = self.beside.columns
        known = [self.annotations(text=" ".join(row)) for row in words] if self.beside.there else []
        aligned = list(self.aligner.align(words, known))
        tags = [[0] * len(row) for row in words]
        batch = tag_batch(aligned, tags, pad_id=self.aligner.pad_id, beside=beside)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", *beside)}
        logits = self.model(**inputs).logits.float()[batch["labels"] != IGNORED]
        found = self._decode(logits, batch["words"])
        for row in torch.split(found, batch["words"].tolist()):
            yield [self.facts["labels"][tag] for tag in row.tolist()]

    def _decode(self, logits: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        if self.chain is None:
            return logits.argmax(dim=-1)
        emissions, mask = sentences(logits, words)
        return self.chain.decode(emissions, mask)[mask]

    def write(self, rows: Iterator[Row], stream: TextIO, suffix: str) -> None:
        """Write JSON lines; CSV with a line per word into a file of that name; CoNLL otherwise."""
        if suffix in JSON:
            super().write(rows, stream, suffix)
        elif suffix == ".csv":
            super().write(_words(rows), stream, suffix)
        else:
            for row in rows:
                columns = (row[name] for name in ("tokens", "input_tags", "tags") if name in row)
                stream.writelines("\t".join(fields) + "\n" for fields in zip(*columns, strict=True))
                stream.write("\n")


def _words(rows: Iterator[Row]) -> Iterator[Row]:
    for sentence, row in enumerate(rows, start=1):
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            yield {"sentence": sentence, "token": token, "tag": tag}


def _columns(path: Path) -> int:
    """Columns of a CoNLL file; 0 of any other, and of standard input.

    Raises:
        DataError: no such file.
    """
    if path == STANDARD_INPUT:
        return 0
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with open_text(path, encoding="utf-8", newline="\n") as stream:
        line = next((line for line in stream if line.strip()), "")
    fields = len(line.rstrip("\r\n").split("\t" if "\t" in line else None))
    return fields if "\t" in line or path.suffix == ".conll" else 0
