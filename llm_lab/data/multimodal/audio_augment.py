"""Random changes of training sounds: of the wave (speed, shift, noise) and of the spectrogram (SpecAugment)."""

from __future__ import annotations

import numpy as np

from llm_lab.data.multimodal.bounds import check_number
from llm_lab.data.multimodal.sound import Wave, resampled

MOST_NOISE, MOST_SHIFT = 100.0, 60.0  # times the clip's level, and seconds
STEPS = 100  # a speed is a ratio of whole numbers, in steps of a hundredth


class AudioAugment:
    """Speed perturbation (Ko et al. 2015), shift, noise, and SpecAugment (Park et al. 2019).

    Args:
        speed: factor between 1 - x and 1 + x, pitch included.
        noise: most noise as a share of the clip's own level.
        gain: factor of the level between 1 - x and 1 + x.
        shift: most seconds of silence put before the clip.
        time_masks: number of stretches of frames that are blanked.
        time_mask: longest stretch, as a share of the clip.
        band_masks: number of groups of bands that are blanked.
        band_mask: most bands in a group, as a share of all.
    """

    def __init__(
        self,
        *,
        speed: float = 0.0,
        noise: float = 0.0,
        gain: float = 0.0,
        shift: float = 0.0,
        time_masks: int = 0,
        time_mask: float = 0.1,
        band_masks: int = 0,
        band_mask: float = 0.15,
    ) -> None:
        for name, share in {
            "speed": speed,
            "gain": gain,
            "time_mask": time_mask,
            "band_mask": band_mask,
        }.items():
            check_number(f"augment.{name}", share, 0, 1 - 1 / STEPS)
        check_number("augment.noise", noise, 0, MOST_NOISE)
        check_number("augment.shift", shift, 0, MOST_SHIFT)
        check_number("augment.time_masks", time_masks, 0, whole=True)
        check_number("augment.band_masks", band_masks, 0, whole=True)
        self.speed, self.noise, self.gain, self.shift = speed, noise, gain, shift
        self.time_masks, self.time_mask = time_masks, time_mask
        self.band_masks, self.band_mask = band_masks, band_mask

    @property
    def waves(self) -> bool:
        """Whether the wave is changed, so that spectrograms cannot be computed in advance."""
        return bool(self.speed or self.noise or self.gain or self.shift)

    def wave(self, samples: Wave, rate: int, rng: np.random.Generator) -> Wave:
        """Samples [N] to samples of another number."""
        speed, level, gain, shift = rng.uniform(-1, 1), rng.random(), rng.uniform(-1, 1), rng.random()
        factor = round(STEPS * (1 + self.speed * speed))
        faster = resampled(samples, factor, STEPS) if factor != STEPS else samples
        samples = faster if len(faster) else samples
        samples = np.pad(samples, (int(self.shift * shift * rate), 0))
        loudness = float(np.sqrt(np.mean(samples**2)))
        noise = rng.standard_normal(len(samples), np.float32) * np.float32(self.noise * level * loudness)
        return (samples + noise) * np.float32(1 + self.gain * gain)

    def spectrogram(self, frames: Wave, rng: np.random.Generator, *, mean: float) -> Wave:
        """Frames [T, F], some stretches and bands set to their mean."""
        frames = frames.copy()
        for axis, count, most in ((0, self.time_masks, self.time_mask), (1, self.band_masks, self.band_mask)):
            size = frames.shape[axis]
            for _ in range(count):
                length = int(rng.integers(0, int(size * most) + 1))
                start = int(rng.integers(0, size - length + 1))
                place = slice(start, start + length)
                frames[place if axis == 0 else (slice(None), place)] = mean
        return frames
