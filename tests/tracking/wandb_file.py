"""Reads what wandb wrote: its log of records in LevelDB's format, each a message of its own protobuf."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as protobuf

BLOCK, HEAD, FILE_HEAD = 32768, 7, 7
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Any]:
    """Yield whole records; a torn end is left out."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, parts = FILE_HEAD, b""
    while place + HEAD <= len(data):
        room = BLOCK - place % BLOCK
        _, size, kind = struct.unpack("<IHB", data[place : place + HEAD]) if room >= HEAD else (0, 0, 0)
        if kind == 0:
            place += room
            continue
        chunk = data[place + HEAD : place + HEAD + size]
        if len(chunk) < size:
            return
        place, parts = place + HEAD + size, parts + chunk
        if kind in (FULL, LAST):
            record = protobuf.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def read_run(folder: Path) -> dict[str, Any]:
    """Return id, group, config, history, summary and exit code of the newest run in a ``wandb`` folder."""
    file = max(folder.glob("*run-*/*.wandb"), key=lambda path: path.stat().st_mtime)
    run: dict[str, Any] = {"history": [], "config": {}, "summary": {}, "exit": None}
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run |= {"id": record.run.run_id, "group": record.run.run_group, "project": record.run.project}
            run["config"] |= _items(record.run.config.update)
        elif kind == "config":
            run["config"] |= _items(record.config.update)
        elif kind == "history":
            run["history"].append(_items(record.history.item))
        elif kind == "summary":
            run["summary"] |= _items(record.summary.update)
        elif kind == "exit":
            run["exit"] = record.exit.exit_code
    return run


def _items(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
