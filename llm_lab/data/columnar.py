"""Read Parquet files and hub data sets in record batches; a row's number stands for its line."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from llm_lab.data.delimited import check_columns
from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import SPLIT_NAMES, Source
from llm_lab.errors import DataError

log = logging.getLogger(__name__)
HIDDEN = -1
BATCH = 1024  # rows decoded at a time


def read_parquet(
    path: Path,
    source: Source,
    needed: Sequence[str],
) -> Iterator[Record | Rejected]:
    """Yield the rows of a Parquet file.

    Raises:
        DataError: not a Parquet file, or a needed column is not in its schema.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: not a Parquet file: {error}") from None
    with table:
        check_columns(table.schema_arrow.names, needed, path)
        there = [name for name in source.optional if name in table.schema_arrow.names]
        batches = table.iter_batches(batch_size=BATCH, columns=list(dict.fromkeys([*needed, *there])))
        rows = chain.from_iterable(batch.to_pylist() for batch in batches)
        for number, row in enumerate(rows, start=1):
            yield Record(path.name, number, row)


def read_hub(
    name: str, source: Source, needed: Sequence[str], *, streaming: bool = False
) -> Iterator[Record | Rejected]:
    """Yield the rows of what ``datasets.load_dataset`` knows, under its own cache and offline rules.

    Args:
        name: ``org/name`` or ``org/name@revision``, or a local folder.
        source: its ``subset`` names a configuration, its ``split`` one split; without one all are read, and
            each row says which in the column ``split``.
        needed: columns; numbers of class labels are given as their names.
        streaming: read the rows as they come, and keep no copy of the files.

    Raises:
        DataError: it cannot be loaded, or lacks a column.
    """
    for split, loaded in _load(name, source, streaming=streaming).items():
        if split not in SPLIT_NAMES or (source.split and SPLIT_NAMES[split] != source.split):
            continue
        table = _encoded(loaded)
        first: Mapping[str, Any] = next(iter(table), {})
        features = table.features or {}
        columns = [*(table.column_names or first)]
        check_columns(columns, [column for column in needed if column != "split"], Path(name))
        names = {c: f.names for c, f in features.items() if c in needed and hasattr(f, "names")}
        if needed[-1] in names and first.get(needed[-1]) == HIDDEN:  # kept back for a competition
            log.warning("%s: the split `%s` hides its labels and is left out", name, split)
            continue
        for line, row in enumerate(table, start=1):
            yield Record(f"{name}:{split}", line, {**row, **_named(row, names), "split": split})


def _load(name: str, source: Source, *, streaming: bool) -> Mapping[str, Any]:
    import datasets

    path, _, revision = name.partition("@")
    try:
        loaded = datasets.load_dataset(path, source.subset, revision=revision or None, streaming=streaming)
    except Exception as error:  # noqa: BLE001 - any of the hub's, the network's and the builders' errors
        raise DataError(f"hf://{name}: cannot be loaded: {type(error).__name__}: {error}") from None
    return loaded


def _encoded(table: Any) -> Any:
    """The table with its pictures and sounds as files: whoever wants them decodes them within bounds."""
    import datasets

    for name, feature in (table.features or {}).items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            table = table.cast_column(name, type(feature)(decode=False))
    return table


def _named(row: Mapping[str, Any], names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Replace numbers of class labels by their names; -1 is the hub's mark of a hidden label."""
    return {c: None if row[c] in {None, HIDDEN} else known[row[c]] for c, known in names.items()}
