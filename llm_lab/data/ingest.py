"""Read every source, clean every row, stage the good ones and list the bad ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llm_lab.data.columns import CleanRow
from llm_lab.data.progress import progress
from llm_lab.data.readers import read
from llm_lab.data.record import Record, Rejected, UnusableError
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.source import Source
from llm_lab.data.spec import Problem
from llm_lab.data.staging import Staging
from llm_lab.errors import DataError

Cleaned = Iterator[tuple[Record | Rejected, CleanRow | Rejected | None]]

if TYPE_CHECKING:
    from llm_lab.data.text_classification import TextClassificationData


class Labelled(Protocol):
    """The part of a data module that says what its rows are."""

    max_rejected: float

    @property
    def problem(self) -> Problem:
        """What a target is."""

    @property
    def sources(self) -> Sequence[Source]:
        """What is read."""

    def cleaned(self, source: Source) -> Cleaned:
        """Each record with the row that became of it, why none did, or None where it is left out."""


def ingest(
    data: Labelled, staging: Staging, folder: Path, *, keep: Path
) -> tuple[dict[str, Any], dict[str, str]]:
    """Fill the staging file; return the counts that the report shows, and where each label first stands.

    Args:
        data: says what to read and what a good row is.
        staging: takes the good rows.
        folder: gets ``rejected.jsonl`` where rows were rejected.
        keep: where that list is left when there are too many of them.

    Raises:
        DataError: too many rows were rejected, or none is left.
    """
    counts: Counter[str] = Counter()
    places: dict[str, str] = {}
    with RejectLog(path=folder / NAME) as rejects:
        kept = staging.add(progress(_clean_rows(data, rejects, counts, places), "reading"))
    rejects.check(rows=counts.total(), most=data.max_rejected, keep=keep)
    if not kept:
        raise DataError(f"no row can be used: {', '.join(source.uri for source in data.sources)}")
    left_out = counts.total() - kept - rejects.reasons.total()
    found = {"rows": counts.total(), "rejected": rejects.summary(), "between_thresholds": left_out}
    return found, places


def _clean_rows(
    data: Labelled, rejects: RejectLog, counts: Counter[str], places: dict[str, str]
) -> Iterator[CleanRow]:
    named = data.problem not in {"regression", "transcript"}  # these have as many values as rows
    for source in data.sources:
        for record, row in data.cleaned(source):
            counts[source.name] += 1
            if isinstance(row, Rejected):
                rejects.add(row)
            elif row is not None:
                if named and isinstance(record, Record) and row.label not in places:
                    places[row.label] = f"{record.file}:{record.line}"
                yield row


def cleaned_texts(data: TextClassificationData, source: Source) -> Cleaned:
    """The records of a source of texts with what became of them."""
    for record in read(source, data.columns.needed(source), licence=data.licence):
        yield record, _clean(data, record, source)


def _clean(
    data: TextClassificationData, record: Record | Rejected, source: Source
) -> CleanRow | Rejected | None:
    if isinstance(record, Rejected):
        return record
    try:
        return data.columns.clean(record, source, data.read_label)
    except UnusableError as error:
        return Rejected(record.file, record.line, error.reason, error.detail)
