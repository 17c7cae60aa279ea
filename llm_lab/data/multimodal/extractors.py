"""Spectrograms as transformers makes them for pretrained models, in NumPy, as long as the sound itself."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from llm_lab.data.multimodal.sound import Wave

RATE, HOP = 16_000, 160  # Hz, and samples from a frame to the next
REFLECTED = 200  # samples that Whisper's extractor mirrors at both ends


def whisper_frames(samples: Wave, *, mels: int, max_seconds: float) -> Wave:
    """Log-mel frames [T, mels] as Whisper hears them, one at least."""
    filled = np.pad(samples, (0, max(0, REFLECTED + 1 - len(samples))))
    found = _whisper(mels, math.ceil(max_seconds))([filled], sampling_rate=RATE, padding="do_not_pad")
    return np.asarray(found["input_features"][0], np.float32).T


def ast_frames(samples: Wave, *, mels: int, max_seconds: float) -> Wave:
    """Filter banks [T, mels] as AST hears them, standardized by the mean of AudioSet."""
    extractor = _ast(mels, math.ceil(max_seconds * RATE / HOP))
    short = max(0, 400 - len(samples))  # a frame's samples
    found = extractor(np.pad(samples, (0, short)), sampling_rate=RATE, return_tensors="np")
    return np.asarray(found["input_values"][0], np.float32)


@cache
def _whisper(mels: int, seconds: int) -> Any:
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=mels, chunk_length=seconds)


@cache
def _ast(mels: int, frames: int) -> Any:
    from transformers import ASTFeatureExtractor

    return ASTFeatureExtractor(num_mel_bins=mels, max_length=frames)
