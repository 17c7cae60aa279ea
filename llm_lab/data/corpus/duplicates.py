"""Documents that stand in a corpus twice, letter by letter or nearly so.

Near-duplicates are found by MinHash over runs of characters (Broder 1997), in bands (Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3) that lie in the staging file, so that memory does not grow with the corpus. Of
two documents the one of the later split (test, val, train) stays, then the one that was read first.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from itertools import groupby
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
from datasketch import MinHash, MinHashLSH

from llm_lab.data.progress import progress
from llm_lab.data.staging import Staging, folded

SHINGLE = 5  # characters
HASHES = 128  # the share of common shingles is estimated within about 0.04
MISSES = (0.1, 0.9)  # weights of false and of missed candidates: false ones are looked at again
ORDER = "CASE split WHEN 'test' THEN 0 WHEN 'val' THEN 1 ELSE 2 END, row.id"
EXACT = f"""UPDATE row SET fate = 'duplicate' WHERE id NOT IN (
    SELECT id FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY fold ORDER BY {ORDER}) AS place FROM row)
    WHERE place = 1)"""  # noqa: S608 - constants
BANDS = "CREATE TABLE band (number INTEGER, id INTEGER)"
SIGNATURES = "CREATE TABLE signature (id INTEGER PRIMARY KEY, hashes BLOB)"
CANDIDATES = f"""SELECT row.id, label, split, number, hashes FROM band JOIN row USING (id) JOIN signature USING (id)
    WHERE number IN (SELECT number FROM band GROUP BY number HAVING COUNT(*) > 1) ORDER BY {ORDER}"""  # noqa: S608
Signature = npt.NDArray[np.uint64]


def remove_exact(staging: Staging) -> int:
    """Keep one of all documents that are equal but for case, width and white space; return how many went."""
    return int(staging.execute(EXACT).rowcount)


def remove_near(staging: Staging, *, threshold: float) -> dict[str, int]:
    """Take out documents that share ``threshold`` of their shingles with one that stays.

    Returns:
        How many went: by source, by pair of sources (``one in other``), and by pair of splits.
    """
    _sign(staging, threshold)
    kept: dict[int, list[tuple[str, str, Signature]]] = defaultdict(list)
    gone: list[tuple[int]] = []
    counts: Counter[str] = Counter()
    for row, group in groupby(staging.execute(CANDIDATES), key=lambda found: found[0]):
        bands = list(group)
        _, source, split, _, hashes = bands[0]
        own = np.frombuffer(hashes, np.uint64)
        near = (one for band in bands for one in kept[band[3]] if (one[2] == own).mean() >= threshold)
        if (one := next(near, None)) is None:
            for band in bands:
                kept[band[3]].append((source, split, own))
            continue
        gone.append((row,))
        counts[source if source == one[0] else f"{source} in {one[0]}"] += 1
        if split != one[1]:
            counts[f"{split} in {one[1]}"] += 1
    for (row,) in gone:
        staging.execute("UPDATE row SET fate = 'near duplicate' WHERE id = ?", row)
    return {"total": len(gone), **counts}


def _sign(staging: Staging, threshold: float) -> None:
    """Store the signature of every document, and its bands as numbers."""
    shape = MinHashLSH(threshold=threshold, num_perm=HASHES, weights=MISSES)
    staging.execute(BANDS)
    staging.execute(SIGNATURES)
    found = staging.execute(
        "SELECT id, text FROM row JOIN body USING (id) WHERE fate IS NULL".replace(
            "text", "json_extract(content, '$.text')"
        )
    )
    staging.execute("BEGIN")
    for row, text in progress(_detached(found), "signing"):
        hashes = signature(text)
        staging.execute("INSERT INTO signature VALUES (?, ?)", row, hashes.tobytes())
        for band, part in enumerate(hashes[: shape.b * shape.r].reshape(shape.b, shape.r)):
            key = blake2b(part.tobytes(), digest_size=8, salt=band.to_bytes(8, "little")).digest()
            staging.execute("INSERT INTO band VALUES (?, ?)", int.from_bytes(key, "little") >> 1, row)
    staging.execute("COMMIT")
    staging.execute("CREATE INDEX by_band ON band (number)")


def _detached(found: Any) -> Iterator[tuple[int, str]]:
    while part := found.fetchmany(512):
        yield from part


def signature(text: str) -> Signature:
    """MinHash of the runs of five characters of a text, uint64 [128]."""
    text = folded(text)
    shingles = {text[place : place + SHINGLE] for place in range(max(1, len(text) - SHINGLE + 1))}
    sketch = MinHash(num_perm=HASHES, hashfunc=crc32)
    sketch.update_batch([shingle.encode() for shingle in sorted(shingles)])
    return np.asarray(sketch.hashvalues, np.uint64)
