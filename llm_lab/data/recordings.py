"""Cut recordings into windows, split in time: each column of a table is the recording of one state."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_lab.data.delimited import check_columns
from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source
from llm_lab.data.text_files import open_text
from llm_lab.errors import ConfigError, DataError

Signal = npt.NDArray[np.float32]
STATISTICS = ("mean", "rms", "skewness", "kurtosis", "crest", "peak")
COLUMNS = ("state", "split", "window", "spectrogram", "start", *STATISTICS)
BINS, FRAMES = 32, 32  # of the picture of a spectrogram
FLOOR = -8.0  # decimal exponent of power that is black


def read_windows(path: Path, source: Source, needed: Sequence[str]) -> Iterator[Record | Rejected]:
    """Yield the windows of each recording in turn, the latest as test, those before them as validation.

    Columns: ``window`` (float32 [N]), ``spectrogram`` (0 to 255, [32, 32], of log power), ``state`` (the recording's
    name), ``split``, ``start``, and statistics of the window. A window that would overlap two splits is left out.

    Raises:
        ConfigError: no length of windows, or shares that leave nothing.
        DataError: cells that are no numbers, or recordings shorter than a window.
    """
    check_columns(COLUMNS, needed, path)
    length, stride, bounds = _plan(source)
    names, values = _recordings(path, source)
    if len(values) < length:
        raise DataError(f"{path}: recordings of {len(values)} samples, shorter than a window of {length}")
    for state, signal in zip(names, values.T, strict=True):
        for split, low, high in _parts(len(signal), bounds):
            for start in range(low, high - length + 1, stride):
                row = _row(signal[start : start + length])
                yield Record(path.name, start + 2, {**row, "state": state, "split": split, "start": start})


def _plan(source: Source) -> tuple[int, int, tuple[float, float]]:
    told = dict(source.windows or {})
    length = int(told.pop("length", 0))
    stride, val, test = (
        int(told.pop("stride", length)),
        float(told.pop("val", 0.15)),
        float(told.pop("test", 0.15)),
    )
    if told or length < 1 or stride < 1 or val < 0 or test < 0 or val + test >= 1:
        raise ConfigError(
            "data.source.windows: {length: SAMPLES, stride: SAMPLES, val: SHARE, test: SHARE} is wanted, "
            f"found {dict(source.windows or {})}"
        )
    return length, stride, (1 - val - test, 1 - test)


def _parts(size: int, bounds: tuple[float, float]) -> list[tuple[str, int, int]]:
    first, second = (round(bound * size) for bound in bounds)
    return [("train", 0, first), ("val", first, second), ("test", second, size)]


def _recordings(path: Path, source: Source) -> tuple[list[str], Signal]:
    """Names of the recordings and their samples [N, recordings]."""
    with open_text(path, encoding=source.encoding, newline="\n") as stream:
        names = [name.strip() for name in source.header or next(csv.reader(stream))]
        try:
            values = np.loadtxt(stream, np.float32, delimiter=source.delimiter or ",", ndmin=2)
        except ValueError as error:
            raise DataError(f"{path}: a recording holds something that is no number: {error}") from None
    if values.shape[1] != len(names) or not np.isfinite(values).all():
        raise DataError(f"{path}: {len(names)} recordings are named, and their samples are not all there")
    return names, values


def _row(window: Signal) -> dict[str, Any]:
    """A window with its spectrogram and its statistics."""
    mean, deviation = float(window.mean()), float(window.std()) or 1.0
    scaled = (window - mean) / deviation
    rms, peak = float(np.sqrt(np.mean(window**2))), float(np.abs(window).max())
    told = {
        "mean": mean, "rms": rms, "skewness": float((scaled**3).mean()), "kurtosis": float((scaled**4).mean()),
        "crest": peak / (rms or 1.0), "peak": peak,
    }  # fmt: skip
    return {"window": window.copy(), "spectrogram": spectrogram(window), **told}


def spectrogram(window: Signal) -> npt.NDArray[np.uint8]:
    """Log power of a window as a picture [32, 32], low frequencies at the bottom; from 10^-8 of all power to all."""
    size = max(2 * BINS, len(window) // (FRAMES // 2))
    padded = np.pad(window, (0, max(0, size - len(window))))
    starts = np.linspace(0, len(padded) - size, FRAMES).astype(int)
    frames = np.stack([padded[start : start + size] for start in starts]) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)[:, 1:]) ** 2
    bands = np.stack([part.mean(axis=1) for part in np.array_split(power, BINS, axis=1)])
    logs = np.log10(bands / max(float(power.sum()), 1e-30) + 10.0**FLOOR)
    return np.round(255 * np.clip(1 - logs[::-1] / FLOOR, 0, 1)).astype(np.uint8)
