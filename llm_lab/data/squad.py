"""Questions, each with a context and the answers in it: from SQuAD's JSON or from a question a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_lab import assets
from llm_lab.data.readers import as_uri, read
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.source import Source, nearest
from llm_lab.data.text_files import check_text
from llm_lab.errors import ConfigError, DataError

ROLES = ("id", "question", "context", "answers")
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about a context.

    Attributes:
        id: what the answer is given back under.
        question: the question.
        context: the text that holds the answer.
        answers: every text that counts as right; none for a question that the context does not answer.
        span: first character of the answer to learn, and the one behind its last; None where there is none.
        moved: the answer stood elsewhere than its offset said.
        place: file and line of the question.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...] = ()
    span: Span | None = None
    moved: bool = False
    place: tuple[str, int] = ("", 0)


def parse_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """The column of each role, called as its role where nothing else is said.

    Raises:
        ConfigError: a role that there is not.
    """
    for role in columns:
        if role not in ROLES:
            raise ConfigError(f"data.columns.{role}: unknown role{nearest(role, ROLES)}")
    return {role: columns.get(role, role) for role in ROLES}


def read_questions(
    source: Source, columns: Mapping[str, str], *, licence: str = ""
) -> Iterator[Question | Rejected]:
    """Yield the questions of a source; ``.json`` is SQuAD's format, anything else holds a question a row.

    Raises:
        AssetError: it cannot be fetched.
        DataError: the file as a whole cannot be used.
    """
    if source.format == "json":
        records: Iterator[Record | Rejected] = flatten(
            assets.resolve(as_uri(source.uri), licence=licence), columns
        )
    else:
        records = read(source, [columns["question"], columns["context"]], licence=licence)
    for record in records:
        yield record if isinstance(record, Rejected) else _question(record, columns)


def flatten(path: Path, columns: Mapping[str, str]) -> Iterator[Record]:
    """Yield a record for each question of a SQuAD 1.1 or 2.0 file, under the given column names.

    Raises:
        DataError: the file is not JSON, or its JSON is not SQuAD's.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text)
        paragraphs = [paragraph for title in document["data"] for paragraph in title["paragraphs"]]
        asked = [(paragraph["context"], each) for paragraph in paragraphs for each in paragraph["qas"]]
        found = [{**each, "context": context} for context, each in asked]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8: {error}") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from None
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not in SQuAD's format (data, paragraphs, context, qas): {error}") from None
    for values, line in zip(found, _lines(text, [values.get("question") for values in found]), strict=True):
        yield Record(path.name, line, {columns[role]: values.get(role) for role in ROLES})


def _lines(text: str, questions: Sequence[Any]) -> Iterator[int]:
    """The line of each question, found in their order; that of the one before where it is written otherwise."""
    line, behind = 1, 0
    for question in questions:
        written = json.dumps(question, ensure_ascii=text.isascii())
        place = text.find(written, behind)
        if place >= 0:
            line, behind = line + text.count("\n", behind, place), place + len(written)
        yield line


def _question(record: Record, columns: Mapping[str, str]) -> Question | Rejected:
    """Check a record; of a rejected one the id is told."""
    given = record.values.get(columns["id"])
    name = f"{record.file}:{record.line}" if given is None or given == "" else str(given)
    try:
        context = record.values.get(columns["context"])
        question = check_text(_string(record.values.get(columns["question"]), "question"))
        check_text(_string(context, "context"))
        texts, span, moved = _answers(record.values.get(columns["answers"]), str(context))
    except UnusableError as error:
        return Rejected(record.file, record.line, error.reason, f"{name}: {error.detail}")
    place = (record.file, record.line)
    return Question(
        id=name, question=question, context=str(context), answers=texts, span=span, moved=moved, place=place
    )


def _string(value: Any, role: str) -> str:
    if not isinstance(value, str):
        raise UnusableError(f"no {role}", value)
    return value


def _answers(cell: Any, context: str) -> tuple[tuple[str, ...], Span | None, bool]:
    """Texts of the answers, the span of the first that stands in the context, whether its offset was wrong.

    Raises:
        UnusableError: there are answers, and none of them stands in the context.
    """
    told = [(text, offset) for text, offset in _listed(cell) if text.strip()]
    texts = tuple(text.strip() for text, _ in told)
    for text, offset in told:
        start = locate(text, context, offset)
        if start is not None:
            left = len(text) - len(text.lstrip())
            return texts, (start + left, start + left + len(text.strip())), start != offset
    if told:
        raise UnusableError("answer not in its context", " | ".join(texts))
    return (), None, False


def _listed(cell: Any) -> list[tuple[str, int]]:
    """Texts with their offsets, 0 where none is told: of SQuAD's list, the hub's two lists, texts, or one text.

    Raises:
        UnusableError: it is none of these.
    """
    if cell is None or isinstance(cell, str):
        return [(cell, 0)] if cell else []
    if not isinstance(cell, Mapping | Sequence):
        raise UnusableError("answers are no list", cell)
    try:
        if isinstance(cell, Mapping):
            return list(zip(map(str, cell["text"]), map(int, cell["answer_start"]), strict=True))
        return [
            (str(one["text"]), int(one["answer_start"])) if isinstance(one, Mapping) else (str(one), 0)
            for one in cell
        ]
    except (KeyError, TypeError, ValueError):
        raise UnusableError("answers without text and answer_start", cell) from None


def locate(text: str, context: str, offset: int) -> int | None:
    """Where the text stands in the context: at its offset, else at the nearest place; None where nowhere."""
    if offset >= 0 and context.startswith(text, offset):
        return offset
    after = context.find(text, max(offset, 0))
    before = context.rfind(text, 0, max(offset, 0) + len(text))
    places = [place for place in (before, after) if place >= 0]
    return min(places, key=lambda place: abs(place - offset), default=None)
