"""A package of the user's own, admitted by the environment, with something of every kind to build."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GADGETS = """
import os
from dataclasses import dataclass
from os import system
from pathlib import Path

from llm_lab.errors import DataError


@dataclass
class Spec:
    labels: list[str]


class Toy:
    def __init__(self, *, size: int = 1, colour: str = "red", parts: dict | None = None, spec=None):
        self.size, self.colour, self.parts, self.spec = size, colour, parts, spec

    def paint(self):
        raise AssertionError("painted")


class Box(Toy):
    class Lid(Toy):
        pass


class Other:
    pass


def make(*, size: int, spec: Spec) -> Toy:
    return Toy(size=size, spec=spec)


def make_untold(*, size: int = 1):
    return Other() if size > 1 else Toy(size=size)


def make_other() -> Other:
    raise AssertionError("called")


def needs(*, first: int, second: int) -> Toy:
    return Toy()


def picky(*, size: int) -> Toy:
    raise ValueError(f"size {size} is too large")


def broken() -> Toy:
    raise OSError("the disk is full")


def unreadable(*, path: str) -> Toy:
    raise DataError(f"{path}:3: no label")


Alias = Box
"""


@pytest.fixture
def gadgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package `gadgets`, importable and admitted; gone afterwards."""
    (tmp_path / "gadgets.py").write_text(GADGETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LLM_LAB_ALLOW", "gadgets")
    yield tmp_path
    sys.modules.pop("gadgets", None)
