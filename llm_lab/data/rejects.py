"""The list of rows that could not be used, and the point at which there are too many of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from llm_lab.data.record import Rejected
from llm_lab.errors import DataError

NAME = "rejected.jsonl"


class RejectLog:
    """Writes ``rejected.jsonl`` (``file``, ``line``, ``reason``, ``detail``) and counts by reason."""

    def __init__(self, *, path: Path) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self.first: dict[str, Rejected] = {}
        self._stream: TextIO | None = None

    def add(self, row: Rejected) -> None:
        """Write one rejected row; the file is made with the first."""
        if self._stream is None:
            self._stream = self.path.open("a" if self.reasons else "w", encoding="utf-8")
        self._stream.write(json.dumps(row.entry(), ensure_ascii=False) + "\n")
        self.reasons[row.reason] += 1
        self.first.setdefault(row.reason, row)

    def check(self, *, rows: int, most: float, keep: Path, key: str = "data.max_rejected") -> None:
        """Stop when more than the share ``most`` of ``rows`` was rejected; the list is kept as ``keep``.

        Args:
            rows: how many there were.
            most: the share of them that may be unusable.
            keep: where the list is left.
            key: the name of the setting, for the message.

        Raises:
            DataError: with the counts by reason, where each first stood, and where the list lies.
        """
        self.close()
        total = self.reasons.total()
        if total <= most * rows:
            return
        if keep != self.path:
            keep.unlink(missing_ok=True)
            self.path.replace(keep)
        counts = "; ".join(
            f"{count} {reason} (first {_place(self.first[reason])})" for reason, count in self.ranked()
        )
        raise DataError(
            f"{total} of {rows} rows rejected ({total / rows:.1%}), {key} allows {most:.1%}: "
            f"{counts}. The list: {keep}"
        )

    def ranked(self) -> list[tuple[str, int]]:
        """Reasons with their counts, the most frequent first."""
        return self.reasons.most_common()

    def summary(self) -> dict[str, Any]:
        """Total and counts by reason, for the report."""
        return {"total": self.reasons.total(), **dict(self.ranked())}

    def close(self) -> None:
        """Close the file; harmless when it was never opened. Another row opens it again."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _place(row: Rejected) -> str:
    detail = f" {row.entry()['detail'][:60].strip()!r}" if row.detail else ""
    return f"{row.file}:{row.line}{detail}"
