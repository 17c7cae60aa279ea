"""Training pictures and sounds are changed at random, within bounds, alike for a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_lab.data.multimodal.audio import Audio
from llm_lab.data.multimodal.audio_augment import AudioAugment
from llm_lab.data.multimodal.image_augment import ImageAugment, magnified, moved
from tests.multimodal import RATE, wav


def chance(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 3), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.9), st.integers(0, 99),
    st.floats(0, 0.99),
)  # fmt: skip
def test_changed_pictures_stay_pictures(
    shift: int, flip: float, colour: float, erase: float, seed: int, crop: float
) -> None:
    change = ImageAugment(
        shift=shift, flip=flip, brightness=colour, contrast=colour, colour=colour, erase=erase, crop=crop
    )
    pixels = np.random.default_rng(seed).random((3, 6, 5, 3)).astype(np.float32)
    before = pixels.copy()
    once, again = (change(pixels, chance(seed, seed + 1, seed + 2)) for _ in range(2))
    assert (once == again).all() and once.shape == pixels.shape
    assert (pixels == before).all()
    assert once.min() >= 0 and once.max() <= 1 and once.dtype == np.float32


def test_a_crop_is_a_part_of_the_picture_in_its_size() -> None:
    """Of slopes it keeps the slope: what is seen grows from left to right, less than before, from somewhere."""
    rows, columns = np.mgrid[0:64, 0:48].astype(np.float32)
    slopes = np.stack([rows / 64, columns / 48], axis=-1)[None]
    areas, starts = [], set()
    for rng in chance(*range(40)):
        cut = ImageAugment(crop=0.75)(slopes, [rng])[0]
        high, wide = (float(np.ptp(cut[..., axis])) for axis in (0, 1))
        assert cut.shape == (64, 48, 2) and (np.diff(cut[..., 0], axis=0) > -1e-6).all()
        assert 0.7 < high / wide < 1.43
        areas.append(high * wide)
        starts.add(round(float(cut[0, 0, 0]), 2))
    assert 0.2 < min(areas) < 0.4 and 0.8 < max(areas) <= 1 and len(starts) > 10


def test_the_whole_of_a_picture_magnified_is_itself() -> None:
    picture = np.random.default_rng(0).random((6, 5, 3)).astype(np.float32)
    assert (magnified(picture, (0, 0, 1, 1)) == picture).all()


def test_a_row_is_changed_alike_whoever_stands_beside_it() -> None:
    change = ImageAugment(shift=2, flip=0.5, brightness=0.5)
    pixels = np.random.default_rng(0).random((2, 6, 6, 1)).astype(np.float32)
    assert (change(pixels, chance(7, 8))[1] == change(pixels[1:], chance(8))[0]).all()


def test_a_picture_moves_by_so_many_pixels() -> None:
    picture = np.arange(9, dtype=np.float32).reshape(3, 3, 1)
    assert moved(picture, 1, 0)[:, :, 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5]]


def test_spec_augment_blanks_no_more_than_it_says() -> None:
    change = AudioAugment(time_masks=1, time_mask=0.2, band_masks=1, band_mask=0.25)
    frames = np.ones((50, 8), np.float32)
    for rng in chance(*range(20)):
        blank = change.spectrogram(frames, rng, mean=0) == 0
        assert blank.all(axis=1).sum() <= 10 and blank.all(axis=0).sum() <= 2
    assert (frames == 1).all()


@pytest.mark.parametrize("features", ["log_mel", "mel", "whisper", "ast"])
def test_what_is_masked_in_a_spectrogram_is_its_mean(features: Any) -> None:
    settings = {"time_masks": 1, "time_mask": 0.5}
    kind = Audio(features=features, mels=80, augment=settings)
    item = kind.decode(wav(np.random.default_rng(0).standard_normal(4000).astype(np.float32) / 9, 16_000))
    frames = kind.derive(item)
    assert frames is not None
    before = kind.batch([frames], None)[""]
    after = kind.batch([frames], chance(5))[""]
    masked = (before != after).all(dim=2)
    assert masked.any() and not masked.all()
    assert torch.allclose(after[masked], before.mean(), atol=2e-3)


def test_speed_changes_the_length_of_a_sound() -> None:
    sizes = [
        len(AudioAugment(speed=0.2).wave(np.ones(1000, np.float32), RATE, rng)) for rng in chance(*range(9))
    ]
    assert min(sizes) >= 1000 / 1.21 and max(sizes) <= 1000 / 0.79 and len(set(sizes)) > 3
