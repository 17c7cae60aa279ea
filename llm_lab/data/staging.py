"""Rows between reading and tokenizing, in a file: splits, duplicates, contradictions, leaks, limits.

SQLite keeps the rows and sorts their keys on disk, so that memory does not grow with the table.
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llm_lab.data.columns import CleanRow

KEY_BITS = 63  # SQLite's integers are signed
KEYS = 1 << KEY_BITS
CHUNK = 2000

SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE row (
    id INTEGER PRIMARY KEY, split TEXT, made INTEGER, label TEXT, same INTEGER, fold INTEGER, fate TEXT);
CREATE TABLE body (id INTEGER PRIMARY KEY, content TEXT);
"""
INDICES = """
CREATE INDEX by_text ON row (split, same, label);
CREATE INDEX by_fold ON row (fold, split);
"""
KEPT = "fate IS NULL"


def key_of(text: str) -> int:
    """Number of 63 bits that equal texts share; two among a billion texts share one with probability 5 %."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def folded(text: str) -> str:
    """The text without what should not tell two texts apart: case, width and runs of white space."""
    if text.isascii():
        return " ".join(text.lower().split())
    composed = unicodedata.normalize(
        "NFKC", text
    ).casefold()  # which takes some letters apart from their accents
    return " ".join(unicodedata.normalize("NFKC", composed).split())


class Staging:
    """Rows of a table under preparation.

    Args:
        folder: where the file is made.
        shares: share of rows without a split of their own that go to ``val`` and ``test``.
        fold: number of the fold, from 0, and of all folds: what the test split leaves is cut into so many parts
            by key, and this part is the validation split, whatever its share.
    """

    def __init__(
        self, *, folder: Path, shares: Mapping[str, float], fold: tuple[int, int] | None = None
    ) -> None:
        self.path = folder / "staging.sqlite"
        self.shares, self.fold = shares, fold
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._db.executescript(SCHEMA)

    def add(self, rows: Iterable[CleanRow]) -> int:
        """Store rows in their order and return how many there were."""
        self._db.execute("BEGIN")
        count, chunk = 0, []
        for count, row in enumerate(rows, start=1):
            chunk.append(self._prepare(count, row))
            if len(chunk) == CHUNK:
                self._insert(chunk)
        self._insert(chunk)
        self._db.execute("COMMIT")
        return count

    def divide(self) -> list[str]:
        """Give rows without a split, and those of a training file, their split by key; return the splits made.

        The lowest keys are the test split, the next the validation split. A split that a source gives is not
        made another time.
        """
        bounds = self._bounds(self.count("NOT made"))
        for split, (low, high) in bounds.items():
            self.execute("UPDATE row SET split = ? WHERE made AND fold BETWEEN ? AND ?", split, low, high - 1)
        self._db.executescript(INDICES)
        return list(bounds)

    def _bounds(self, given: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """The keys of each split that is made."""
        sizes = {name: round(share * KEYS) for name, share in self.shares.items() if name not in given}
        test = sizes.get("test", 0)
        val = (test, test + sizes.get("val", 0))
        if self.fold:
            number, folds = self.fold
            val = (test + (KEYS - test) * number // folds, test + (KEYS - test) * (number + 1) // folds)
        bounds = {"test": (0, test), "val": val}
        return {split: (low, high) for split, (low, high) in bounds.items() if low < high}

    def _prepare(self, number: int, row: CleanRow) -> tuple[Any, ...]:
        text = "\0".join(row.values[name] for name in ("text", "pair") if name in row.values)
        told = None if self.fold and row.split == "val" else row.split  # a fold takes its place
        made = told in {None, "train"}
        content = json.dumps(row.values, ensure_ascii=False)
        fold = key_of(folded(text) if row.group is None else row.group)
        return number, told or "train", made, row.label, key_of(text), fold, content

    def _insert(self, chunk: list[tuple[Any, ...]]) -> None:
        self._db.executemany("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, NULL)", (row[:-1] for row in chunk))
        self._db.executemany("INSERT INTO body VALUES (?, ?)", ((row[0], row[-1]) for row in chunk))
        chunk.clear()

    def execute(self, statement: str, *values: Any) -> Any:
        """Run one SQL statement over ``row`` and ``body``."""
        return self._db.execute(statement, values)

    def count(self, condition: str, *values: Any) -> dict[str, int]:
        """Rows that meet an SQL condition, by split."""
        query = f"SELECT split, COUNT(*) FROM row WHERE {condition} GROUP BY split"  # noqa: S608 - ours
        found = self.execute(query, *values)
        return dict(found.fetchall())

    def label_counts(self, split: str | None = None, *, limited: bool = True) -> dict[str, int]:
        """Kept rows by target, of one split or of all; without `limited` also those that a limit leaves out."""
        fates = "fate IS NULL" if limited else "(fate IS NULL OR fate = 'limit')"
        query = f"SELECT label, COUNT(*) FROM row WHERE {fates} AND split = IFNULL(?, split) GROUP BY label"  # noqa: S608
        found = self.execute(query, split)
        return dict(found.fetchall())

    def rows(self, split: str) -> Iterator[tuple[int, dict[str, str], str]]:
        """Yield key, values and label of the kept rows of a split, in the order in which they were read."""
        found = self.execute(
            "SELECT same, content, label FROM row JOIN body USING (id) "
            "WHERE split = ? AND fate IS NULL ORDER BY row.id",
            split,
        )
        for key, content, label in found:
            yield key, json.loads(content), label

    def close(self) -> None:
        """Close and delete the file."""
        self._db.close()
        self.path.unlink(missing_ok=True)
