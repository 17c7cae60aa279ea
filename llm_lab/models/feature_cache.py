"""What frozen towers make of their inputs, computed once and kept on disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from llm_lab import assets
from llm_lab.data.cache import content_hash
from llm_lab.models.tower import Tokens, Tower
from llm_lab.tracking.files import write_json

FOLDER, LOCK, FORMAT, TOKENS, INDEX = "features", ".lock", "format.json", "tokens.bin", "index.bin"
GIGABYTE, DEFAULT = 1 << 30, 8.0


class FeatureCache:
    """Calls a frozen tower for inputs that it has not seen, and reads what it made of the others.

    Known are inputs by their keys in a batch, which data give only to inputs that are no random variants. What is
    kept depends on the weights, on the settings of the input, on the data and on the precision.

    Args:
        identity: of the input and its data, as plain values.
        gigabytes: that all features of this machine may take; what has not been used for longest makes room.
    """

    def __init__(self, *, identity: Mapping[str, Any], gigabytes: float = DEFAULT) -> None:
        self.identity, self.most = dict(identity), int(gigabytes * GIGABYTE)
        self._weights = ""

    def __call__(self, tower: Tower, values: Tensor, mask: Tensor | None, keys: Tensor) -> Tokens:
        """The tower's tokens [B, T, D] of inputs whose keys are int64 [B]."""
        if not self.most or not may_keep(tower):
            return tower(values, mask)
        store, wanted = self._store(tower, values), keys.tolist()
        new = list({key: row for row, key in enumerate(wanted) if key not in store.places}.values())
        if new and not store.open(self.most):
            return tower(values, mask)
        if new and not store.add(
            [wanted[row] for row in new], tower(values[new], None if mask is None else mask[new])
        ):
            return tower(values, mask)
        return store.read(wanted, values.device)

    def _store(self, tower: Tower, values: Tensor) -> Features:
        self._weights = self._weights or digest_of(tower)
        kind = values.device.type
        precision = str(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else ""
        told = [
            self.identity,
            tower.saved(),
            self._weights,
            precision,
            torch.distributed.is_initialized() and torch.distributed.get_rank(),
        ]
        return features(assets.home() / FOLDER / content_hash({"features": told}))


def may_keep(tower: Tower) -> bool:
    """Whether a tower makes the same of an input each time: nothing of it trains, and it is here as a whole."""
    return tower.frozen and all(
        type(one) is nn.Parameter and one.numel() and not one.requires_grad for one in tower.parameters()
    )


def digest_of(module: nn.Module) -> str:
    """Hash of the weights and statistics of a module."""
    found = blake2b(digest_size=16)
    for name, value in sorted(module.state_dict().items()):
        found.update(
            name.encode() + value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    return found.hexdigest()


@cache
def features(folder: Path) -> Features:
    """The features of a folder, opened once in a process."""
    return Features(folder)


class Features:
    """Tokens by key: a file of all tokens, and one of keys with the places of theirs; both grow at the end.

    One process writes at a time; others read what was there when they came.

    Args:
        folder: where they lie.

    Attributes:
        places: first and last token, by key.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: dict[int, tuple[int, int]] = {}
        self.format: dict[str, Any] = {}
        self._lock = FileLock(folder / LOCK, timeout=0)
        self._map = np.empty((0, 0), np.uint8)
        self._full = False
        self._recall()

    def _recall(self) -> None:
        """What earlier runs wrote; an entry that a killed one left half-written is left out."""
        if not (self.folder / FORMAT).is_file():
            return
        self.format = json.loads((self.folder / FORMAT).read_text(encoding="utf-8"))
        if not (self.folder / INDEX).is_file():
            return
        raw = np.fromfile(self.folder / INDEX, np.int64)
        there = (self.folder / TOKENS).stat().st_size // self.format["bytes"]
        entries = raw[: len(raw) // 3 * 3].reshape(-1, 3)
        self.places = {key: (start, end) for key, start, end in entries.tolist() if end <= there}

    def open(self, most: int) -> bool:
        """Whether this process may add to it."""
        if self._full or self._lock.is_locked:
            return not self._full
        self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            self._lock.acquire()
            _make_room(self.folder, most)
            self._recall()
            self._left = most - sum(map(_size, self.folder.parent.iterdir()))
        self._full = not self._lock.is_locked
        return not self._full

    def add(self, keys: Sequence[int], tokens: Tokens) -> bool:
        """Append the tokens that count, of each key; False where they cannot be kept."""
        lengths = tokens.mask.sum(dim=1)
        behind = torch.arange(tokens.mask.shape[1], device=lengths.device) >= lengths[:, None]
        if (behind == tokens.mask.bool()).any():  # tokens that count stand behind ones that do not
            return False
        states = tokens.states.detach().cpu().contiguous()
        rows = states.view(torch.uint8).numpy()
        if not self.format:
            self.format = {"bytes": rows.shape[2], "dtype": str(states.dtype).removeprefix("torch.")}
            write_json(self.folder / FORMAT, self.format)
        chosen = [row[:length] for row, length in zip(rows, lengths.tolist(), strict=True)]
        self._left -= sum(one.nbytes for one in chosen)
        self._full = self._left < 0
        if not self._full:
            self._append(keys, chosen)
        return not self._full

    def _append(self, keys: Sequence[int], rows: Sequence[Any]) -> None:
        with (self.folder / TOKENS).open("ab") as file:
            start = file.tell() // self.format["bytes"]
            file.truncate(start * self.format["bytes"])
            file.writelines(row.tobytes() for row in rows)
        ends = start + np.cumsum([len(row) for row in rows])
        entries = np.stack([np.array(keys), ends - [len(row) for row in rows], ends], axis=1)
        with (self.folder / INDEX).open("ab") as file:
            file.truncate(file.tell() // 24 * 24)
            file.write(entries.astype(np.int64).tobytes())
        self.places |= {key: (first, last) for key, first, last in entries.tolist()}

    def read(self, keys: Sequence[int], device: torch.device) -> Tokens:
        """Tokens [B, T, D] and mask of known keys."""
        with suppress(
            OSError
        ):  # another process made room, or only others may write; what is open can be read on
            os.utime(self.folder)
        places = [self.places[key] for key in keys]
        size = self.format["bytes"]
        if max(end for _, end in places) > len(self._map):
            raw = np.memmap(self.folder / TOKENS, np.uint8, "r")
            self._map = raw[: len(raw) // size * size].reshape(-1, size)
        rows = np.zeros((len(keys), max(end - start for start, end in places), size), np.uint8)
        mask = np.zeros(rows.shape[:2], np.int64)
        for row, (start, end) in enumerate(places):
            rows[row, : end - start] = self._map[start:end]
            mask[row, : end - start] = 1
        states = torch.from_numpy(rows).view(getattr(torch, self.format["dtype"]))
        return Tokens(states.to(device), torch.from_numpy(mask).to(device))


def _make_room(folder: Path, most: int) -> None:
    """Delete what has not been used for longest, until half of the room is free for this folder."""
    others = [one for one in folder.parent.iterdir() if one != folder and (one / FORMAT).is_file()]
    for one in sorted(others, key=lambda one: one.stat().st_mtime):  # which reading sets
        if sum(map(_size, folder.parent.iterdir())) <= most // 2:
            return
        with suppress(Timeout), FileLock(one / LOCK, timeout=0):
            shutil.rmtree(one, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else 0
