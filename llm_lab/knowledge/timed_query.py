"""A query with a limit of time, asked in a process of its own: the engine cannot be told to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from llm_lab.errors import DataError
from llm_lab.knowledge.sparql import Answers, check_query

if TYPE_CHECKING:
    from llm_lab.knowledge.store import Store

SECONDS = 60.0
BATCH = 100  # rows that are sent at a time
MOMENT = 0.2  # seconds after which fewer are sent


def query_within(store: Store, text: str, *, seconds: float = SECONDS) -> Answers:
    """The answers of a store on disk; rows come as the engine finds them.

    Only the time that is spent waiting for the engine counts, not what is done with the rows. The process ends with
    the rows, with an error, and when the rows are no longer read.

    Args:
        store: open for reading only.
        text: SPARQL, see `Store.query`.
        seconds: of waiting, the opening of the store included.

    Raises:
        DataError: the graph is in memory, the query is wrong, an update, asks another server, or the time was up, which
            reading the rows may raise as well.
    """
    if store.path is None or not store.read_only:
        raise DataError("SPARQL: a limit of time needs a graph on disk that is open for reading only")
    check_query(text)
    found = _batches(store.path, text, seconds)
    (columns,) = next(found)
    return Answers(columns=columns, rows=(row for batch in found for row in batch))


def _batches(path: Path, text: str, seconds: float) -> Iterator[list[tuple[str, ...]]]:
    """The columns, and then the rows."""
    context = get_context("spawn")  # a fork would share the engine's locks and threads
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_ask, args=(path, text, theirs), daemon=True)
    process.start()
    theirs.close()
    left, count = seconds, -1
    try:
        while True:
            begin = monotonic()
            if not ours.poll(max(left, 0)):
                raise DataError(
                    f"SPARQL: the time of {seconds:g} s was up, and the {max(count, 0):,} rows so far are not all; "
                    "ask for less, or give more time by --seconds"
                )
            left -= monotonic() - begin
            batch = _received(ours)
            if batch is None:
                return
            count += len(batch)
            yield batch
    finally:
        process.kill()
        process.join()
        ours.close()


def _received(ours: Connection) -> list[tuple[str, ...]] | None:
    try:
        found = ours.recv()
    except EOFError:
        raise DataError(
            "SPARQL: the engine's process ended before the query did, perhaps for lack of memory"
        ) from None
    if isinstance(found, DataError):
        raise found
    return found


def _end_with_parent() -> None:
    """Nobody waits for an answer any more where the process that asked was killed."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _gathered(rows: Iterator[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """Rows in lists of `BATCH`, or of as many as there were after a moment, so that slow ones are not kept back."""
    batch: list[tuple[str, ...]] = []
    sent = monotonic()
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH or monotonic() - sent > MOMENT:
            yield batch
            batch, sent = [], monotonic()
    if batch:
        yield batch


def _ask(path: Path, text: str, theirs: Connection) -> None:
    """What the other process does: send the columns, the rows in batches, and None or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    Thread(target=_end_with_parent, daemon=True).start()
    from llm_lab.knowledge.store import Store

    try:
        found = Store(path=path, read_only=True).query(text)
        theirs.send([found.columns])
        for batch in _gathered(found.rows):
            theirs.send(batch)
        theirs.send(None)
    except DataError as error:
        theirs.send(error)
    except BrokenPipeError:
        pass
