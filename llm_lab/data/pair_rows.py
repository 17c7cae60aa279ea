"""Texts that belong together, read from tables: one row per anchor, with all that is known to belong to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llm_lab.data.progress import progress
from llm_lab.data.readers import read
from llm_lab.data.record import Rejected, UnusableError
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.shares import Fold, split_of
from llm_lab.data.source import SPLIT_NAMES, SPLITS, Source, nearest
from llm_lab.data.spec import Split
from llm_lab.data.text_files import check_text
from llm_lab.errors import ConfigError, DataError

ROLES = ("anchor", "positive", "negative", "split")


@dataclass(kw_only=True)
class PairRow:
    """An anchor, the texts that belong to it, and texts that seem to but do not."""

    anchor: str
    positives: list[str] = field(default_factory=list)
    negatives: list[str] = field(default_factory=list)

    def add(self, positives: Sequence[str], negatives: Sequence[str]) -> None:
        """Take in more texts, each once; what is a positive is no negative."""
        self.positives = list(dict.fromkeys([*self.positives, *positives]))
        self.negatives = [
            text for text in dict.fromkeys([*self.negatives, *negatives]) if text not in self.positives
        ]


def parse_columns(columns: Mapping[str, Any] | None) -> dict[str, str]:
    """The column of each role; ``anchor`` and ``positive`` are called so where nothing is said.

    Raises:
        ConfigError: a role that there is not.
    """
    for role in columns or {}:
        if role not in ROLES:
            raise ConfigError(f"data.columns.{role}: unknown role{nearest(str(role), ROLES)}")
    given = {role: str(name) for role, name in (columns or {}).items() if name is not None}
    return {"anchor": "anchor", "positive": "positive"} | given


class PairReader:
    """Reads all sources into rows by split, and counts.

    Args:
        sources: what to read.
        columns: column of each role.
        shares: of the splits that a hash of the anchor fills where neither source nor column names them.
        fold: number of the fold that is validated, and of all; then only test rows have a split of their own.
        licence: shown before a download.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        columns: Mapping[str, str],
        shares: Mapping[str, float],
        licence: str,
        fold: Fold = None,
    ) -> None:
        self.sources, self.columns, self.shares, self.licence = sources, columns, shares, licence
        self.fold = fold
        self.counts: Counter[str] = Counter()

    def read(self, rejects: RejectLog) -> dict[str, list[PairRow]]:
        """Rows by split, in the order of the files; rows of equal anchors are one."""
        found: dict[str, dict[str, PairRow]] = {split: {} for split in SPLITS}
        for split, anchor, positives, negatives in progress(self._clean(rejects), "reading"):
            found[split].setdefault(anchor, PairRow(anchor=anchor)).add(positives, negatives)
        return {split: list(rows.values()) for split, rows in found.items() if rows}

    def _clean(self, rejects: RejectLog) -> Iterator[tuple[str, str, list[str], list[str]]]:
        for source in self.sources:
            left_out = {"split"} if source.split else set()
            needed = [name for role, name in self.columns.items() if role not in left_out]
            for record in read(source, needed, licence=self.licence):
                self.counts["rows"] += 1
                if isinstance(record, Rejected):
                    rejects.add(record)
                    continue
                try:
                    row = self._row(record.values, source)
                except UnusableError as error:
                    rejects.add(Rejected(record.file, record.line, error.reason, error.detail))
                    continue
                yield row

    def _row(self, values: Mapping[str, Any], source: Source) -> tuple[str, str, list[str], list[str]]:
        cells = {role: values.get(name) for role, name in self.columns.items()}
        anchor = whole(cells["anchor"])
        positives = several(cells["positive"])
        if not positives:
            raise UnusableError("no positive")
        return self._split(cells, anchor, source), anchor, positives, several(cells.get("negative"))

    def _split(self, cells: Mapping[str, Any], anchor: str, source: Source) -> str:
        told = source.split or self._column(cells)
        if told and (self.fold is None or told == "test"):
            return told
        return split_of(text_id(anchor), self.shares, order=tuple(self.shares), fold=self.fold)

    def _column(self, cells: Mapping[str, Any]) -> Split | None:
        if "split" not in cells:
            return None
        word = str(cells["split"]).strip().lower()
        if word not in SPLIT_NAMES:
            raise UnusableError("unknown split", f"`{word}`{nearest(word, tuple(SPLIT_NAMES))}")
        return SPLIT_NAMES[word]


def whole(cell: Any) -> str:
    """One text; a list is a text in pieces.

    Raises:
        UnusableError: it is empty, undecodable or no text.
    """
    pieces = cell if isinstance(cell, list) else [cell]
    if not all(isinstance(piece, str) for piece in pieces):
        raise UnusableError("text is not a string", cell)
    return check_text(" ".join(pieces))


def several(cell: Any) -> list[str]:
    """The texts of a list, or one; none where the cell is empty."""
    texts = cell if isinstance(cell, list) else [cell]
    return [whole(text) for text in texts if text not in (None, "")]


def text_id(text: str) -> int:
    """A number by which equal texts are known, the same everywhere: 63 bits of a hash."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def read_pairs(
    reader: PairReader, folder: Path, *, keep: Path, max_rejected: float
) -> tuple[dict[str, list[PairRow]], dict[str, Any]]:
    """Rows by split and the counts for the report; ``folder`` gets the list of rejected rows.

    Raises:
        DataError: too many rows were rejected, or none is left.
    """
    with RejectLog(path=folder / NAME) as rejects:
        rows = reader.read(rejects)
    rejects.check(rows=reader.counts["rows"], most=max_rejected, keep=keep)
    if not rows:
        raise DataError(f"no row can be used: {', '.join(source.uri for source in reader.sources)}")
    return rows, {"rows": reader.counts["rows"], "rejected": rejects.summary()}


def without_leaks(rows: Mapping[str, list[PairRow]]) -> tuple[dict[str, list[PairRow]], dict[str, int]]:
    """Rows that share no text with a row of a later split, and how many were left out of each split."""
    later: set[str] = set()
    kept: dict[str, list[PairRow]] = {}
    for split in reversed([split for split in SPLITS if split in rows]):
        kept[split] = [row for row in rows[split] if later.isdisjoint([row.anchor, *row.positives])]
        later.update(text for row in rows[split] for text in [row.anchor, *row.positives])
    leaks = {split: len(rows[split]) - len(kept[split]) for split in rows}
    return {split: kept[split] for split in rows if kept[split]}, {k: v for k, v in leaks.items() if v}
