"""Sound: decoded with bounds, mixed to one channel, resampled; and its log-mel spectrogram."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_lab.data.record import UnusableError

Wave = npt.NDArray[np.float32]
RATES = (1_000, 384_000)  # Hz; what is outside is no recording that anybody makes
MOST_CHANNELS = 8
LOUD = 10 ** (-30 / 20)  # root mean square of a clip
FLOOR = 1e-6  # power below which a band counts as silent


def decode_sound(content: bytes, *, rate: int, max_seconds: float) -> Wave:
    """Samples [N] between -1 and 1 at ``rate`` Hz, of all channels together.

    The header is judged before anything is decoded.

    Raises:
        UnusableError: no sound, a broken one, or rate, channels or length out of bounds.
    """
    with opened(content) as file:
        check_sound(file.samplerate, file.channels, file.frames, max_seconds)
        found = int(file.samplerate)
        samples = file.read(dtype="float32", always_2d=True).mean(axis=1)
    return usable(resampled(usable(samples), found, rate))


def sound_file(samples: Wave, rate: Any) -> bytes:
    """Samples [N] at ``rate`` Hz as the content of a file, to be judged and resampled as any other.

    Those beyond full scale, as of 16-bit integers, are scaled down to it.

    Raises:
        UnusableError: they do not stand in one row, are no numbers, or the rate is none.
    """
    import soundfile

    if samples.ndim != 1:
        raise UnusableError("no sound", f"an array of {samples.ndim} dimensions")
    if (
        not isinstance(rate, int | float | np.integer | np.floating)
        or not RATES[0] <= rate <= RATES[1]
        or rate % 1
    ):
        raise UnusableError("absurd sample rate", f"{rate} Hz")
    scaled = samples / max(1.0, float(np.abs(usable(samples)).max()))
    stream = io.BytesIO()
    soundfile.write(stream, scaled, int(rate), format="WAV", subtype="FLOAT")
    return stream.getvalue()


def rate_of(content: bytes) -> int:
    """Samples per second as the header says.

    Raises:
        UnusableError: no sound, or a broken one.
    """
    with opened(content) as file:
        return int(file.samplerate)


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """Yield a sound file, its header read; what is wrong with it is a reason to reject its row."""
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise UnusableError("no sound or a broken one", error) from None


def check_sound(rate: int, channels: int, frames: int, max_seconds: float) -> None:
    """Refuse what a header says where decoding it would be absurd, or give nothing."""
    low, high = RATES
    if not low <= rate <= high:
        raise UnusableError("absurd sample rate", f"{rate} Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise UnusableError("too many channels", channels)
    if frames > max_seconds * rate:
        raise UnusableError("sound too long", f"{frames / rate:.1f} s, at most {max_seconds} s")
    if frames < 1:
        raise UnusableError("empty sound")


def usable(samples: Wave) -> Wave:
    """The samples, after a check that there are some and all are numbers."""
    if not len(samples):
        raise UnusableError("empty sound")
    if not np.isfinite(samples).all():
        raise UnusableError("sound with samples that are no numbers")
    return samples


def resampled(samples: Wave, rate: int, wanted: int) -> Wave:
    """Samples at another rate, band-limited."""
    if rate == wanted:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, wanted), np.float32)


@cache
def filters(rate: int, window: int, mels: int, low: float, high: float) -> Wave:
    """Triangular mel filters [window // 2 + 1, mels] after Slaney."""
    from transformers.audio_utils import mel_filter_bank

    bank = mel_filter_bank(
        num_frequency_bins=window // 2 + 1, num_mel_filters=mels, min_frequency=low, max_frequency=high,
        sampling_rate=rate, norm="slaney", mel_scale="slaney",
    )  # fmt: skip
    return np.asarray(bank, np.float32)


def log_mel(samples: Wave, *, rate: int, mels: int, window: float, hop: float) -> Wave:
    """Log-mel spectrogram [T, mels], all frames at once; a frame each ``hop`` seconds, ``window`` seconds long.

    Short sounds are filled up to one frame. Values are standardized over the whole clip, so that loudness and
    microphone do not matter.
    """
    size, step = round(window * rate), round(hop * rate)
    points = 1 << max(size - 1, 1).bit_length()
    short = max(0, size - len(samples))
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (0, short)), size)[::step]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), points)) ** 2
    power = spectrum.astype(np.float32) @ filters(rate, points, mels, 0.0, rate / 2)
    logs = np.log(np.maximum(power, FLOOR))
    return ((logs - logs.mean()) / (logs.std() + np.float32(1e-5))).astype(np.float32)


def mel(samples: Wave, *, rate: int, mels: int, window: float, hop: float) -> Wave:
    """Mel spectrogram [T, mels] of power, no logarithm, frames centred: what the speaker encoder was trained on.

    Soft clips are made as loud as -30 dB of the full scale first.
    """
    size, step = round(window * rate), round(hop * rate)
    loudness = float(np.sqrt(np.mean(samples**2)))
    if 0 < loudness < LOUD:
        samples = samples * np.float32(LOUD / loudness)
    padded = np.pad(samples, size // 2)
    padded = np.pad(padded, (0, max(0, size - len(padded))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::step]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(size + 1)[:-1].astype(np.float32))) ** 2
    return spectrum.astype(np.float32) @ filters(rate, size, mels, 0.0, rate / 2)
