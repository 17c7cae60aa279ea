"""Sentences with tags from files of several formats, in one scheme, or the reason why one cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from llm_lab import assets
from llm_lab.data.conll import read_conll
from llm_lab.data.path_questions import read_path_questions
from llm_lab.data.peoples_daily import read_peoples_daily
from llm_lab.data.readers import as_uri, read
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.source import SUFFIXES, Source, nearest
from llm_lab.data.tags import Entity, Scheme, characters, detect, encode, entities, fault, normal
from llm_lab.data.text_files import check_text
from llm_lab.errors import ConfigError

Unit = Literal["word", "character"]
TABLES = ("json", "jsonl", "parquet", "hub")
SPECIAL = {"peoples_daily": read_peoples_daily, "path_questions": read_path_questions}
FORMATS = ("conll", *SPECIAL, *TABLES)


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """Words and their tags, and where they stand."""

    words: list[str]
    tags: list[str]
    place: str


@dataclass(frozen=True, kw_only=True)
class SentenceReader:
    """How sentences are read; see `llm_lab.data.token_classification.TokenClassificationData` for the words."""

    tokens: int | str
    tags: int | str
    comment: str | None
    names: Sequence[str] | None
    labels: Sequence[str] | None
    scheme_in: Scheme | None
    scheme: Literal["BIO", "BIOES"]
    unit: Unit
    invalid: Literal["repair", "reject"]

    def read(self, source: Source, *, licence: str) -> Iterator[Sentence | Rejected]:
        """Yield the sentences of a source.

        Raises:
            ConfigError: the format or the columns do not fit.
            DataError: the file as a whole cannot be used.
        """
        strict = self.invalid == "reject"
        scheme = (self.scheme_in or detect(self._all_tags(source, licence))) if strict else None
        for record in self._records(source, licence):
            if isinstance(record, Rejected):
                yield record
                continue
            try:
                yield self._sentence(record, scheme)
            except UnusableError as error:
                yield Rejected(record.file, record.line, error.reason, error.detail)

    def _records(self, source: Source, licence: str) -> Iterator[Record | Rejected]:
        name = source.format
        if name in TABLES:
            return self._named(read(source, [str(self.tokens), str(self.tags)], licence=licence))
        if name is not None and name not in {*FORMATS, *SUFFIXES.values()}:
            raise ConfigError(f"data.format: unknown format `{name}`{nearest(name, FORMATS)}")
        path = assets.resolve(as_uri(source.uri), licence=licence)
        return SPECIAL[name](path, source) if name in SPECIAL else self._conll(path, source)

    def _conll(self, path: Path, source: Source) -> Iterator[Record | Rejected]:
        if isinstance(self.tokens, str) or isinstance(self.tags, str):
            raise ConfigError(
                "data.columns: numbers are wanted, from 0: columns have no names in a CoNLL file"
            )
        return read_conll(path, source, token=self.tokens, tag=self.tags, comment=self.comment)

    def _named(self, records: Iterator[Record | Rejected]) -> Iterator[Record | Rejected]:
        for record in records:
            if isinstance(record, Rejected):
                yield record
            else:
                words, tags = record.values.get(str(self.tokens)), record.values.get(str(self.tags))
                yield Record(record.file, record.line, {"tokens": words, "tags": tags})

    def _all_tags(self, source: Source, licence: str) -> Iterator[list[str]]:
        for record in self._records(source, licence):
            if isinstance(record, Record):
                try:
                    yield self._read(record)[1]
                except UnusableError:
                    continue

    def _read(self, record: Record) -> tuple[list[str], list[str]]:
        """Words and tags as they stand there.

        Raises:
            UnusableError: something that is neither.
        """
        words, tags = record.values["tokens"], record.values["tags"]
        if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags):
            raise UnusableError("no tag for each word", f"{words} | {tags}")
        if not words:
            raise UnusableError("empty text")
        return [check_text(str(word)) for word in words], [self._tag(tag) for tag in tags]

    def _tag(self, tag: Any) -> str:
        if isinstance(tag, int):
            if self.names is None or not 0 <= tag < len(self.names):
                raise UnusableError(
                    "tag without a name", f"{tag}: data.names gives names to numbers, in their order"
                )
            tag = self.names[tag]
        try:
            return normal(str(tag).strip())
        except ValueError as error:
            raise UnusableError("unknown tag", error) from None

    def _sentence(self, record: Record, scheme: Scheme | None) -> Sentence:
        words, tags = self._read(record)
        wrong = fault(tags, scheme) if scheme else None
        if wrong is not None:
            line = _line(record, wrong)
            raise UnusableError(
                "invalid tags", f"line {line}: `{words[wrong]}` {tags[wrong]} is no {scheme} here"
            )
        found: list[Entity] = entities(tags)
        for kind, first, _ in found:
            if self.labels is not None and kind not in self.labels:
                raise UnusableError(
                    "unknown label", f"line {_line(record, first)}: `{kind}`{nearest(kind, self.labels)}"
                )
        if self.unit == "character":
            words, found = characters(words, found)
        tags = encode(found, len(words), self.scheme)
        return Sentence(words=words, tags=tags, place=f"{record.file}:{record.line}")


def _line(record: Record, word: int) -> int:
    lines: list[int] | None = record.values.get("lines")
    return lines[word] if lines else record.line
