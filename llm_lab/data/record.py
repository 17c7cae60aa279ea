"""What a reader yields: one row as it stands in a file, or the reason why it cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_lab.data.source import Source

EXCERPT = 200  # characters of a rejected row that are kept


@dataclass(frozen=True, slots=True)
class Record:
    """A row with its place; ``line`` counts from 1 and is the row number where a format has no lines.

    ``origins`` names the source of columns that another source was joined for.
    """

    file: str
    line: int
    values: Mapping[str, Any]
    origins: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used: ``reason`` is one of a few phrases, ``detail`` says what stood there."""

    file: str
    line: int
    reason: str
    detail: str = ""

    def entry(self) -> dict[str, Any]:
        """The JSON object that ``rejected.jsonl`` holds for the row; undecodable bytes become U+FFFD."""
        detail = self.detail[:EXCERPT].encode("utf-8", "replace").decode("utf-8", "replace")
        return {"file": self.file, "line": self.line, "reason": self.reason, "detail": detail}


class UnusableError(Exception):
    """Raised inside the cleaning of one row, caught there: the row is rejected with this reason."""

    def __init__(self, reason: str, detail: object = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = str(detail)
