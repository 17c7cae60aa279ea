"""A small manifest of pictures, sounds, texts, numbers and categories whose label each of them tells."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from llm_lab.data.multimodal.module import MultimodalData
from tests.conftest import Result

RATE = 8000
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220)}
PITCH = {"red": 300.0, "blue": 1200.0}
COLUMNS: dict[str, Any] = {
    "picture": {"kind": "image", "columns": "file", "size": 8},
    "sound": {"kind": "audio", "columns": "wav", "rate": RATE, "mels": 8, "max_seconds": 2},
    "words": {"kind": "text", "columns": "text"},
    "amounts": {"kind": "number", "columns": ["weight", "height"]},
    "places": {"kind": "category", "columns": ["town"], "min_count": 1},
    "label": "colour",
}
FIELDS = ("file", "wav", "text", "weight", "height", "town", "colour")


def picture(path: Path, colour: str, rng: np.random.Generator, size: int = 10) -> None:
    """A square of one colour with noise."""
    noise = rng.integers(-20, 20, (size, size, 3))
    Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)).save(path)


def tone(path: Path, pitch: float, seconds: float, rng: np.random.Generator, rate: int = RATE) -> None:
    """A sine with noise."""
    time = np.arange(int(seconds * rate)) / rate
    samples = 0.5 * np.sin(2 * np.pi * pitch * time) + 0.01 * rng.standard_normal(len(time))
    soundfile.write(path, samples.astype(np.float32), rate)


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def manifest(folder: Path, rows: int = 40) -> Path:
    """Write ``rows.csv`` and its files."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for number in range(rows):
            colour = ("red", "blue")[number % 2]
            picture(folder / f"{number}.png", colour, rng)
            tone(folder / f"{number}.wav", PITCH[colour], 0.1 + 0.1 * rng.random(), rng)
            amount = 3 * (number % 2) + rng.random()
            words = f"something {colour} number {number}"
            writer.writerow(
                [f"{number}.png", f"{number}.wav", words, f"{amount:.3f}", 1.5, f"{colour} town", colour]
            )
    return folder / "rows.csv"


def leave_nothing_but(folder: Path, run: str, *kept: str) -> Path:
    """Move a run away, and remove what it was made from: data, configuration, caches."""
    away = folder / "away" / run
    away.parent.mkdir()
    shutil.move(folder / run, away)
    for path in folder.iterdir():
        if path.name not in {"away", *kept}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(os.environ["LLM_LAB_HOME"])
    return away


def edit(path: Path, row: int, **cells: str) -> None:
    """Change cells of a row, counted from 0."""
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    table[row] |= cells
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(table)


def some(*names: str) -> dict[str, Any]:
    return {name: COLUMNS[name] for name in (*names, "label")}


def rejected(data: MultimodalData) -> list[tuple[int, str]]:
    data.prepare()
    lines = data.rejected.read_text().splitlines() if data.rejected else []
    return [(entry["line"], entry["reason"]) for entry in map(json.loads, lines)]


def told_and_moved(folder: Path, lab: Callable[..., Result]) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """What the run in ``run`` says of six other rows, the second lacking its picture, and how it does elsewhere.

    Before the latter it is moved to ``away``, its data and caches are gone, and it says the same again.
    """
    other = manifest(folder / "other", rows=6)
    edit(other, 1, file="nowhere.png")
    result = lab("predict", "run", "--input", str(other), "--output", "said.csv")
    assert result.code == 0, result.err
    said = (folder / "said.csv").read_text()
    leave_nothing_but(folder, "run", "other")
    result = lab("predict", "away/run", "--input", str(other), "--output", "again.csv")
    assert result.code == 0, result.err
    assert (folder / "again.csv").read_text() == said
    edit(other, 1, file="1.png")
    result = lab("evaluate", "away/run", "data.source={test: other/rows.csv}")
    assert result.code == 0, result.err
    *_, last = sorted((folder / "away/run/evaluations").glob("*.json"))
    return list(csv.DictReader(io.StringIO(said))), json.loads(last.read_text())
