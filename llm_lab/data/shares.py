"""Which part of the rows goes to which split, for those that the source leaves open."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from llm_lab.data.spec import Split
from llm_lab.data.staging import KEYS
from llm_lab.errors import ConfigError

DEFAULT_SHARES = {"val": 0.1, "test": 0.1}
Fold = tuple[int, int] | None
"""Number of a part, from 0, and of all parts of a cross-validation."""


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


def parse_fold(fold: int, folds: int | None) -> Fold:
    """The keys ``data.fold`` and ``data.folds``; None where there is no cross-validation.

    Raises:
        ConfigError: fewer than two folds, or none of this number.
    """
    if folds is None:
        return None
    if folds < 2 or not 0 <= fold < folds:  # noqa: PLR2004 - one part would leave nothing to train on
        raise ConfigError(
            f"data.fold: of at least two folds one from 0 to folds - 1 is wanted, found {fold} of {folds}"
        )
    return fold, folds


def told_split(split: Split | None, fold: Fold) -> Split | None:
    """What a source says of a row; with folds only the test rows are told, so that all others are validated once."""
    return split if fold is None or split == "test" else None


def split_of(
    key: int, shares: Mapping[str, float], order: Sequence[str] = ("test", "val"), fold: Fold = None
) -> str:
    """The split of a row by its key, a number below `KEYS`: the lowest belong to the first of ``order``, and so on.

    What the test split leaves is cut into folds by key, and the one of this number is the validation split.
    """
    if fold is not None:
        test = round(shares.get("test", 0.0) * KEYS)
        number, folds = fold
        return "test" if key < test else "val" if (key - test) * folds // (KEYS - test) == number else "train"
    place, bound = key / KEYS, 0.0
    for split in order:
        bound += shares.get(split, 0.0)
        if place < bound:
            return split
    return "train"
