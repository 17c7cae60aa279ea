"""Rows of several sources put side by side by a key that they share, and rows left out by what stands in them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source, nearest
from llm_lab.errors import ConfigError, DataError

Read = Iterable[Record | Rejected]


def joined(rows: Read, part: Source, others: Read) -> Iterator[Record | Rejected]:
    """Yield each row with the columns of its partner; rows without one are left out.

    Rows that share a key with several partners take them in turn, so that a table of names gives each row its name,
    and two sets of one kind of thing are dealt out to each other. Of columns of the same name the row's own counts.
    Partners are held in memory.

    Args:
        rows: what gets partners.
        part: the source of the partners; its ``by`` says by which columns they are found.
        others: its rows.

    Raises:
        ConfigError: rows have no column of the key.
        DataError: no row found a partner.
    """
    left, right = zip(*by(part).items(), strict=True)
    partners: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for other in others:
        if isinstance(other, Rejected):
            yield other
        else:
            partners[_key(other.values, right)].append(other.values)
    turns: Counter[tuple[str, ...]] = Counter()
    last = None
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        _check(row, left, part)
        last = _key(row.values, left)
        if last in partners:
            partner = partners[last][turns[last] % len(partners[last])]
            turns[last] += 1
            yield _with(row, partner, part)
    if last is not None and not turns:
        there = next(iter(partners), ())
        raise DataError(
            f"{part.uri}: no row has a partner in it; keys are like `{', '.join(last)}` and like `{', '.join(there)}`"
        )


def by(part: Source) -> Mapping[str, str]:
    """Columns of the rows, and those of their partners that hold the same."""
    return {part.by: part.by} if isinstance(part.by, str) else dict(part.by or {})


def chosen(rows: Read, source: Source) -> Iterator[Record | Rejected]:
    """Yield the rows whose cells match the regular expressions of ``where`` as a whole.

    Raises:
        ConfigError: an expression that is none, or a column that rows do not have.
    """
    patterns = {}
    for name, pattern in (source.where or {}).items():
        try:
            patterns[name] = re.compile(str(pattern))
        except re.error as error:
            raise ConfigError(
                f"data.source.where.{name}: {pattern!r} is no regular expression: {error}"
            ) from None
    for row in rows:
        if isinstance(row, Record):
            _check(row, patterns, source)
            if not all(one.fullmatch(str(row.values[name])) for name, one in patterns.items()):
                continue
        yield row


def _check(row: Record, names: Iterable[str], source: Source) -> None:
    for name in names:
        if name not in row.values:
            raise ConfigError(
                f"data.source: {source.name or source.uri} asks {row.file}:{row.line} for a column `{name}`"
                f"{nearest(name, list(row.values))}"
            )


def _key(values: Mapping[str, Any], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(values.get(name)) for name in names)


def _with(row: Record, partner: Mapping[str, Any], part: Source) -> Record:
    origins = dict.fromkeys(partner.keys() - row.values.keys(), part)
    return replace(row, values={**partner, **row.values}, origins={**origins, **row.origins})
