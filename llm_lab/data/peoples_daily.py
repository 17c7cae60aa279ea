"""Read text whose words carry their part of speech, ``word/nr``, as the People's Daily corpus of 1998 does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.tags import OUTSIDE
from llm_lab.data.text_files import open_text

TYPES = {"nr": "PER", "ns": "LOC", "nt": "ORG"}  # names of people, of places, of organizations


def read_peoples_daily(path: Path, source: Source) -> Iterator[Record | Rejected]:
    """Yield a row per line: ``tokens``, and ``tags`` in BIO.

    Family and given name are words of their own in the corpus: words of people's names that stand side by side are
    one entity.
    """
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            pairs = [item.rpartition("/") for item in line.split()]
            if not pairs:
                continue
            broken = next((word + part for word, slash, part in pairs if not (word and slash)), None)
            if broken is not None:
                yield Rejected(path.name, number, "no word/part of speech", broken)
                continue
            kinds = [TYPES.get(part) for _, _, part in pairs]
            values = {"tokens": [word for word, _, _ in pairs], "tags": _tags(kinds)}
            yield Record(path.name, number, values)


def _tags(kinds: list[str | None]) -> list[str]:
    tags = []
    for kind, before in zip(kinds, [None, *kinds], strict=False):
        goes_on = kind == "PER" and before == "PER"
        tags.append(OUTSIDE if kind is None else f"I-{kind}" if goes_on else f"B-{kind}")
    return tags
