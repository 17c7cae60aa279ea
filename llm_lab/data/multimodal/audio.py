"""Sounds as a kind of column: waves or log-mel spectrograms of any length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from llm_lab.config import build
from llm_lab.data.multimodal.audio_augment import AudioAugment
from llm_lab.data.multimodal.bounds import check_number, check_word
from llm_lab.data.multimodal.extractors import ast_frames, whisper_frames
from llm_lab.data.multimodal.kind import Array, Chance, MediaKind
from llm_lab.data.multimodal.sound import RATES, decode_sound, log_mel, mel, usable
from llm_lab.data.record import UnusableError
from llm_lab.data.table import Batch
from llm_lab.errors import ConfigError

Features = Literal["log_mel", "mel", "waveform", "whisper", "ast"]
MOST_MELS, MOST_WINDOW, MOST_SECONDS = 512, 1.0, 86_400.0  # bands, and seconds of a frame and of a sound
THEIRS = {"whisper": whisper_frames, "ast": ast_frames}
THEIR_FRAMES = (16_000, 0.025, 0.01)  # rate, and seconds of window and hop, that both were trained with
FULL = 32767  # of 16-bit samples


class Audio(MediaKind):
    """Sounds at one rate: float32 [B, T, mels] of log-mel frames or [B, T] of samples, with a mask [B, T].

    Store holds 16-bit samples [T, 1]; spectrograms are computed once and kept beside the samples where training
    does not change the wave, see `AudioAugment`.

    Args:
        columns: see `Kind`.
        optional: see `Kind`.
        rate: samples per second, after resampling.
        features: ``log_mel`` spectrograms, standardized; ``mel`` ones as the speaker encoder wants them; ``whisper``
            and ``ast`` ones as transformers makes them for these models; or the ``waveform`` itself, standardized.
        mels: bands of a spectrogram.
        window: seconds of a frame.
        hop: seconds from one frame to the next.
        max_seconds: a longer sound is refused before it is decoded.
        augment: settings of `AudioAugment`, for training rows.
    """

    kind, dtype = "audio", "int16"

    def __init__(
        self,
        *,
        columns: Sequence[str] | str | None = None,
        optional: bool = False,
        rate: int = 16_000,
        features: Features = "log_mel",
        mels: int = 64,
        window: float = 0.025,
        hop: float = 0.01,
        max_seconds: float = 30.0,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(columns=columns, optional=optional)
        check_number("rate", rate, *RATES, whole=True)
        check_word("features", features, get_args(Features))
        check_number("mels", mels, 1, MOST_MELS, whole=True)
        check_number("window", window, 0, MOST_WINDOW)
        check_number("hop", hop, 0, MOST_WINDOW)
        check_number("max_seconds", max_seconds, 0.001, MOST_SECONDS)
        if min(mels, round(window * rate), round(hop * rate)) < 1:
            raise ConfigError(f"mels {mels}, window {window} s, hop {hop} s: at {rate} Hz that is nothing")
        if features in THEIRS and (rate, window, hop) != THEIR_FRAMES:
            raise ConfigError(f"features: {features} is made for rate: 16000, window: 0.025 and hop: 0.01")
        self.rate, self.features_as, self.max_seconds = rate, features, max_seconds
        self.mels, self.window, self.hop = mels, window, hop
        self.augment = _augment(augment)

    @property
    def item(self) -> tuple[int, ...]:
        """One sample."""
        return (1,)

    def decode(self, content: bytes) -> Array:
        """Samples int16 [T, 1]."""
        return _stored(decode_sound(content, rate=self.rate, max_seconds=self.max_seconds))

    def accept(self, values: Array) -> Array:
        """Samples [T] of the wanted rate, scaled so that the loudest is 1."""
        if values.ndim != 1:
            raise UnusableError("no sound", f"an array of {values.ndim} dimensions")
        samples = usable(values.astype(np.float32))
        if len(samples) > self.max_seconds * self.rate:
            raise UnusableError("sound too long", f"{len(samples)} samples")
        return _stored(samples / max(float(np.abs(samples).max()), 1e-9))

    def length(self, samples: int) -> int:
        """Frames, or samples, that the model gets of so many samples."""
        if self.features_as == "waveform":
            return samples
        size, step = round(self.window * self.rate), round(self.hop * self.rate)
        if self.features_as == "whisper":
            return max(1, samples // step)
        if self.features_as == "mel":
            return 1 + max(0, samples + 2 * (size // 2) - size) // step
        return 1 + max(0, samples - size) // step

    def derive(self, item: Array) -> Array | None:
        """The spectrogram float16 [T, mels] of stored samples, where that is what the model gets."""
        return None if self.features_as == "waveform" else self._featured(_wave(item)).astype(np.float16)

    @property
    def derived_item(self) -> tuple[str, tuple[int, ...]]:
        """Frames of so many bands."""
        return "float16", (self.mels,)

    def wants_raw(self, *, training: bool) -> bool:
        """Where the wave is changed in training, spectrograms are computed anew."""
        return self.features_as == "waveform" or bool(training and self.augment and self.augment.waves)

    def blank(self) -> Array:
        """One frame of silence."""
        return np.zeros((round(self.window * self.rate), 1), np.int16)

    def batch(self, items: Sequence[Array], chance: Chance) -> Batch:
        """``""``: float32 [B, T, mels] or [B, T]; ``_mask``: int64 [B, T]."""
        rngs = chance if chance is not None and self.augment else [None] * len(items)
        return _padded(
            [self._one(item, rng) for item, rng in zip(items, rngs, strict=True)], self.features_as
        )

    def _one(self, item: Array, rng: np.random.Generator | None) -> npt.NDArray[np.float32]:
        if rng is None or self.augment is None:
            return self._featured(_wave(item)) if item.dtype == np.int16 else np.asarray(item, np.float32)
        if item.dtype != np.int16:
            return self._masked(np.asarray(item, np.float32), rng)
        samples = self.augment.wave(_wave(item), self.rate, rng)
        frames = self._featured(samples)
        return frames if self.features_as == "waveform" else self._masked(frames, rng)

    def _masked(self, frames: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
        assert self.augment is not None  # noqa: S101 - asked for by the caller
        mean = 0.0 if self.features_as == "log_mel" else float(frames.mean())  # which log_mel has taken off
        return self.augment.spectrogram(frames, rng, mean=mean)

    def _featured(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self.features_as == "waveform":
            return ((samples - samples.mean()) / (samples.std() + 1e-5)).astype(np.float32)[:, None]
        if self.features_as in THEIRS:
            frames = self.length(len(samples))
            return THEIRS[self.features_as](samples, mels=self.mels, max_seconds=self.max_seconds)[:frames]
        spectrogram = log_mel if self.features_as == "log_mel" else mel
        return spectrogram(samples, rate=self.rate, mels=self.mels, window=self.window, hop=self.hop)

    def features(self, item: Array) -> npt.NDArray[np.float32]:
        """Mean and deviation of each band over the clip and its two halves; of waves those of their spectrogram."""
        frames = log_mel(_wave(item), rate=self.rate, mels=self.mels, window=self.window, hop=self.hop)
        parts = [frames, *(part if len(part) else frames for part in np.array_split(frames, 2))]
        return np.concatenate([np.r_[part.mean(axis=0), part.std(axis=0)] for part in parts])

    def facts(self) -> dict[str, Any]:
        """Rate, bands and what rebuilds the kind; augmentation is of training only."""
        names = ("columns", "optional", "rate", "mels", "window", "hop", "max_seconds")
        return {
            "kind": self.kind,
            "features": self.features_as,
            **{name: getattr(self, name) for name in names},
        }


def _stored(samples: npt.NDArray[np.float32]) -> Array:
    return np.round(np.clip(samples, -1, 1) * FULL).astype(np.int16)[:, None]


def _wave(item: Array) -> npt.NDArray[np.float32]:
    return item[:, 0].astype(np.float32) / np.float32(FULL)


def _padded(rows: Sequence[npt.NDArray[np.float32]], features: str) -> Batch:
    longest = max(map(len, rows))
    values = np.zeros((len(rows), longest, rows[0].shape[1]), np.float32)
    mask = np.zeros((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        values[number, : len(row)] = row
        mask[number, : len(row)] = 1
    told = values[:, :, 0] if features == "waveform" else values
    return {"": torch.from_numpy(np.ascontiguousarray(told)), "_mask": torch.from_numpy(mask)}


def _augment(settings: Mapping[str, Any] | None) -> AudioAugment | None:
    if not settings:
        return None
    target = f"{AudioAugment.__module__}.{AudioAugment.__name__}"
    return build({"_target_": target, **settings}, expected=AudioAugment, key="augment")
