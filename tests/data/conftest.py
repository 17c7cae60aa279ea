"""Data modules over small tables, with a tokenizer that needs no file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from llm_lab.data.text_classification import TextClassificationData

TOKENIZER = {"_target_": "llm_lab.data.tokenizers.Trained", "kind": "character", "vocab_size": 200}
WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "jetty",
    "knoll",
    "lagoon",
    "marsh",
    "north",
    "ocean",
]

Make = Callable[..., TextClassificationData]


def sentence(number: int) -> str:
    """A text of its own for every number, of varying length."""
    digits = [WORDS[int(digit) % len(WORDS)] for digit in str(number)]
    return " ".join(digits + WORDS[: number % 11])


def table(rows: Iterable[tuple[object, ...]], header: str = "text,label") -> str:
    """A CSV file's content."""
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


def rejected(data: TextClassificationData) -> list[tuple[int, str]]:
    """Line and reason of every rejected row."""
    data.prepare()
    lines = data.rejected.read_text(encoding="utf-8").splitlines() if data.rejected else []
    return [(entry["line"], entry["reason"]) for entry in map(json.loads, lines)]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a data module; ``content`` is written to ``name`` first, as text or bytes."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))

    def build(
        content: str | bytes | None = None, name: str = "table.csv", **options: Any
    ) -> TextClassificationData:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        options = {"source": f"file://{path}", "tokenizer": TOKENIZER, "licence": "test", **options}
        return TextClassificationData(**options)

    return build
