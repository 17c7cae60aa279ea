"""Which part of the rows goes to which split, for those that the source leaves open."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from llm_lab.data.staging import KEYS
from llm_lab.errors import ConfigError

DEFAULT_SHARES = {"val": 0.1, "test": 0.1}


def parse_shares(
    split: Mapping[str, float] | None,
    *,
    told: bool = False,
    default: Mapping[str, float] = DEFAULT_SHARES,
) -> dict[str, float]:
    """Shares of ``val`` and ``test`` by the key ``data.split``; a share of nothing is left away.

    Args:
        split: the key; None stands for the default.
        told: whether the source says of rows which split they are in; then the default is no share.
        default: shares where neither says anything.

    Raises:
        ConfigError: another split, a share outside [0, 1), or nothing is left to train on.
    """
    if split is None:
        return {} if told else dict(default)
    for name, share in split.items():
        if name not in DEFAULT_SHARES or not 0 <= share < 1:
            raise ConfigError(
                f"data.split.{name}: shares below 1 for `val` and `test` are wanted, found {share}"
            )
    if sum(split.values()) >= 1:
        raise ConfigError(
            f"data.split: nothing is left to train on: the shares add up to {sum(split.values())}"
        )
    return {name: share for name, share in split.items() if share}


def left_open(shares: Mapping[str, float], given: Collection[str | None]) -> dict[str, float]:
    """The shares of the splits that no source gives: one that is given is not made another time."""
    return {split: share for split, share in shares.items() if split not in given}


def split_of(key: int, shares: Mapping[str, float], order: Sequence[str] = ("test", "val")) -> str:
    """The split of a row by its key, a number below `KEYS`: the lowest belong to the first of ``order``, and so on."""
    place, bound = key / KEYS, 0.0
    for split in order:
        bound += shares.get(split, 0.0)
        if place < bound:
            return split
    return "train"
