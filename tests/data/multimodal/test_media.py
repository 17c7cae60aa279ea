"""Pictures and sounds are decoded within bounds, and augmentation is a function of seed, epoch and row."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from llm_lab.data.multimodal.audio import Audio
from llm_lab.data.multimodal.image import Image
from llm_lab.data.multimodal.media import MediaWriter, decoded
from llm_lab.data.multimodal.sound import log_mel, mel, resampled
from llm_lab.data.record import UnusableError
from llm_lab.errors import ConfigError
from tests.multimodal import RATE, wav


def png(width: int = 10, height: int = 6, mode: str = "RGB", colour: Any = 0) -> bytes:
    stream = io.BytesIO()
    Pillow.new(mode, (width, height), colour).save(stream, "PNG")
    return stream.getvalue()


def noise() -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    Pillow.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


NOISE = noise()


def refused(kind: Any, content: bytes) -> str:
    with pytest.raises(UnusableError) as error:
        kind.decode(content)
    return error.value.reason


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(
    ("mode", "channels"), [("RGB", 3), ("L", 3), ("RGBA", 1), ("P", 3), ("1", 1), ("CMYK", 3)]
)
def test_every_picture_gets_the_size_and_the_channels_asked_for(
    resize: Any, mode: str, channels: int
) -> None:
    kind = Image(size=[4, 8], channels=channels, resize=resize)
    stream = io.BytesIO()
    Pillow.new(mode, (10, 6)).save(stream, "TIFF" if mode == "CMYK" else "PNG")
    item = kind.decode(stream.getvalue())
    assert item.shape == (4, 8, channels) and item.dtype == np.uint8
    assert kind.batch([item, kind.blank()], None)[""].shape == (2, channels, 4, 8)


def test_what_is_seen_through_is_white() -> None:
    item = Image(size=4).decode(png(4, 4, "RGBA", (255, 0, 0, 0)))
    assert (item == 255).all()


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png(3000, 3000)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("it was unpacked"))
    assert refused(Image(size=8, max_pixels=1_000_000), bomb) == "picture too large"


def test_a_bomb_beyond_the_librarys_own_limit_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    assert refused(Image(size=8), png(10, 10)) == "picture too large"


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 150), (150, 1), (2, 3)])
def test_no_more_than_the_size_asked_for_is_made_of_a_long_picture(
    resize: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, plain = [], Pillow.Image.resize

    def noted(self: Any, size: Any, *args: Any, **settings: Any) -> Any:
        sizes.append(size)
        return plain(self, size, *args, **settings)

    monkeypatch.setattr("PIL.Image.Image.resize", noted)
    item = Image(size=[9, 12], resize=resize).decode(png(*size, colour="red"))
    assert item.shape == (9, 12, 3) and (resize == "pad" or (item == [255, 0, 0]).all())
    assert sizes and all(width <= 12 and height <= 9 for width, height in sizes)


@pytest.mark.parametrize("size", [(1, 2_000_000), (2_000_000, 1), (1, 201)])
def test_a_strip_is_refused_before_it_is_unpacked(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    strip = png(*size)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("it was unpacked"))
    assert refused(Image(size=8), strip) == "picture too long for its width"


def test_what_a_crop_keeps_is_the_middle() -> None:
    stripes = np.repeat(np.arange(6, dtype=np.uint8) * 40, 4)[None].repeat(8, axis=0)
    item = Image(size=8, channels=1).accept(stripes)
    assert (item[:, :, 0] == stripes[:, 8:16]).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "no picture"), (b"%!PS-Adobe", "no picture"), (NOISE[: len(NOISE) // 2], "broken picture")],
    ids=["nothing", "postscript", "half"],
)
def test_a_broken_picture_has_a_reason(content: bytes, reason: str) -> None:
    assert refused(Image(size=8), content) == reason


def saved(picture: Pillow.Image, format: str = "PNG", **settings: Any) -> bytes:  # noqa: A002 - Pillow's word
    stream = io.BytesIO()
    picture.save(stream, format, **settings)
    return stream.getvalue()


GREYS = np.array([[0, 257], [32_896, 65_535]], np.uint16)


@pytest.mark.parametrize(
    "content",
    [
        saved(Pillow.fromarray(GREYS)),
        saved(Pillow.fromarray(GREYS), "TIFF"),
        saved(Pillow.fromarray(GREYS.astype(">u2")), "TIFF"),
        b"P5 2 2 65535\n" + GREYS.astype(">u2").tobytes(),
        saved(Pillow.fromarray((GREYS >> 8).astype(np.int32)), "TIFF"),
    ],
    ids=["png", "tiff", "big-endian", "pgm", "int32"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_greys_of_16_bits_keep_their_shades(content: bytes, channels: int) -> None:
    item = Image(size=2, channels=channels).decode(content)
    assert (item == np.array([[0, 1], [128, 255]])[..., None]).all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full((2, 2), 256, np.int32), "pixel values that are not from 0 to 255"),
        (np.full((2, 2), -1, np.int32), "pixel values that are not from 0 to 255"),
        (np.full((2, 2), 0.5, np.float32), "picture of floating-point numbers"),
    ],
)
def test_a_picture_that_does_not_say_what_is_white_is_refused(values: Any, reason: str) -> None:
    assert refused(Image(size=2), saved(Pillow.fromarray(values), "TIFF")) == reason


@pytest.mark.parametrize("wrong", [300.0, -5.0, np.nan, np.inf])
def test_pixel_values_that_are_none_are_refused(wrong: float) -> None:
    with pytest.raises(UnusableError, match="not from 0 to 255"):
        Image(size=2).accept(np.array([0, 10, 20, wrong], np.float32))


def test_pixel_values_from_0_to_1_are_refused_unless_they_are_0_and_1() -> None:
    with pytest.raises(UnusableError, match="from 0 to 1"):
        Image(size=2).accept(np.array([0, 0.2, 0.9, 1], np.float32))
    assert Image(size=2, channels=1).accept(np.array([0, 1, 1, 0], np.float32)).sum() == 2


def test_a_picture_is_turned_as_its_camera_says() -> None:
    upright = Pillow.fromarray(np.array([[0, 50], [100, 150], [200, 250]], np.uint8))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the camera was turned: a quarter to the right sets it upright
    lying = saved(upright.transpose(Pillow.Transpose.ROTATE_90), exif=exif)
    kind = Image(size=[3, 2], channels=1)
    assert (kind.decode(lying)[:, :, 0] == np.asarray(upright)).all()


def test_pixels_in_the_table_are_pictures_too() -> None:
    kind = Image(size=2, channels=1)
    assert kind.accept(np.array([0, 50, 100, 255], np.float32))[:, :, 0].tolist() == [[0, 50], [100, 255]]
    with pytest.raises(UnusableError, match="no picture"):
        kind.accept(np.zeros(5, np.float32))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (1, 4, 6), (4, 6, 3), (3, 4, 6), (4, 6, 4), (4, 6, 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_pictures_wherever_their_channels_stand(shape: tuple[int, ...], channels: int) -> None:
    kind = Image(size=[4, 6], channels=channels)
    values = np.full(shape, 200, np.float32)
    if shape[-1] in {2, 4}:
        values[..., -1] = 255
    assert (kind.accept(values) == 200).all() and kind.accept(values).shape == (4, 6, channels)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (6, 6, 5), (2, 2, 2, 3), (4, 0, 3)])
def test_arrays_that_are_no_picture_have_a_reason(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnusableError, match="no picture"):
        Image(size=4).accept(np.zeros(shape, np.float32))


@pytest.mark.parametrize("features", ["log_mel", "mel", "whisper", "ast", "waveform"])
@pytest.mark.parametrize("samples", [1, 3, 159, 200])
def test_a_very_short_sound_is_a_frame(features: Any, samples: int) -> None:
    kind = Audio(rate=16_000, features=features, mels=80)
    item = kind.decode(wav(np.ones(samples, np.float32), 16_000))
    batch = kind.batch([item, kind.blank()], None)
    assert batch["_mask"].sum(1)[0] == kind.length(len(item)) >= 1
    assert torch.isfinite(batch[""]).all()


def test_a_sound_of_which_resampling_leaves_nothing_has_a_reason() -> None:
    assert refused(Audio(rate=1000), wav(np.ones(1, np.float32), 96_000)) == "empty sound"


def test_cells_of_hub_sets_hold_bytes_numbers_or_names(tmp_path: Path) -> None:
    kind = Image(size=4)
    (tmp_path / "a.png").write_bytes(png())
    values = np.zeros((4, 4), np.float32)
    cells = [
        {"bytes": png(), "path": "b.png"},
        {"bytes": None, "path": "a.png"},
        {"array": values, "path": None},
    ]
    assert all((decoded(kind, cell, tmp_path) == 0).all() for cell in cells)
    with pytest.raises(UnusableError, match="no such file"):
        decoded(kind, {"bytes": b"", "path": "b.png"}, tmp_path)


def test_an_array_with_its_rate_is_resampled_as_a_file_is() -> None:
    kind = Audio(rate=RATE, max_seconds=2)
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32) / 2
    cell = {"array": tone, "sampling_rate": 16_000, "path": None}
    assert (decoded(kind, cell, Path()) == kind.decode(wav(tone, 16_000))).all()
    integers = {"array": (tone * 32_767).astype(np.int16).tolist(), "sampling_rate": 16_000}
    assert len(decoded(kind, integers, Path())) == RATE
    assert len(decoded(kind, {"array": tone}, Path())) == 16_000


@pytest.mark.parametrize(
    ("array", "rate", "reason"),
    [
        ([0.1] * 50, 10, "absurd sample rate"),
        ([0.1] * 50, "16 kHz", "absurd sample rate"),
        ([0.1] * 50, float("nan"), "absurd sample rate"),
        ([[0.1, 0.2]] * 50, RATE, "no sound"),
        ([float("inf")] * 50, RATE, "sound with samples that are no numbers"),
        ([], RATE, "empty sound"),
        ([0.1] * 3 * RATE, RATE, "sound too long"),
    ],
)
def test_an_array_with_a_rate_that_is_none_has_a_reason(array: Any, rate: Any, reason: str) -> None:
    with pytest.raises(UnusableError) as error:
        decoded(Audio(rate=RATE, max_seconds=2), {"array": array, "sampling_rate": rate}, Path())
    assert error.value.reason == reason


def test_equal_arrays_of_two_rates_are_two_sounds(tmp_path: Path) -> None:
    kind = Audio(rate=RATE)
    kind.input = "sound"
    cells: list[Any] = [{"array": [0.1] * 400, "sampling_rate": rate} for rate in (RATE, 16_000)]
    with MediaWriter(tmp_path, kind) as writer, ThreadPoolExecutor(1) as pool:
        writer.take([(cell, tmp_path) for cell in cells], pool)
        numbers = [writer.number(cell, tmp_path) for cell in cells]
        assert [writer.length(number) for number in numbers] == [kind.length(400), kind.length(200)]


@pytest.mark.parametrize("cell", ["a\0b", "n" * 5000, "loop"])
def test_what_names_no_file_has_a_reason(cell: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UnusableError, match="no name of a file"):
        decoded(Image(size=4), cell, tmp_path)


def test_what_a_decoder_stumbles_over_is_a_reason_and_what_can_be_mended_is_told() -> None:
    class Stumbling(Image):
        def decode(self, content: bytes) -> Any:
            raise ConfigError("mend this") if content else MemoryError("too much")

    kind = Stumbling(size=4)
    with pytest.raises(UnusableError, match="broken image"):
        decoded(kind, b"", Path())
    with pytest.raises(ConfigError, match="mend this"):
        decoded(kind, b"a", Path())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"RIFFnothing", "no sound or a broken one"),
        (wav(np.zeros(0, np.float32)), "empty sound"),
        (wav(np.zeros(RATE * 3, np.float32)), "sound too long"),
        (wav(np.zeros(90_000, np.float32), 900_000), "absurd sample rate"),
        (wav(np.zeros(100, np.float32), 10), "absurd sample rate"),
        (wav(np.zeros((50, 9), np.float32)), "too many channels"),
        (wav(np.full(50, np.nan, np.float32)), "sound with samples that are no numbers"),
    ],
    ids=[
        "broken",
        "empty",
        "long",
        "fast",
        "slow",
        "channels",
        "nan",
    ],  # a sound file holds the time of its making
)
def test_a_sound_out_of_bounds_has_a_reason(content: bytes, reason: str) -> None:
    assert refused(Audio(rate=RATE, max_seconds=2), content) == reason


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4000), st.sampled_from([4000, 8000, 11025, 16000]))
def test_a_spectrogram_is_as_long_as_promised(samples: int, rate: int) -> None:
    kind = Audio(rate=rate, mels=8)
    noise = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    frames = log_mel(noise, rate=rate, mels=8, window=kind.window, hop=kind.hop)
    assert len(frames) == kind.length(samples)
    kind = Audio(rate=rate, mels=8, features="mel")
    assert len(mel(noise, rate=rate, mels=8, window=kind.window, hop=kind.hop)) == kind.length(samples)
    assert np.isfinite(frames).all()
    assert abs(float(frames.mean())) < 1e-3


def test_resampling_keeps_a_tone_where_it_is() -> None:
    time = np.arange(44_100, dtype=np.float32) / 44_100
    out = resampled(np.sin(2 * np.pi * 440 * time), 44_100, RATE)
    assert len(out) == RATE
    assert int(np.abs(np.fft.rfft(out)).argmax()) == 440


def test_loudness_does_not_matter() -> None:
    noise = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    told = {"rate": RATE, "mels": 8, "window": 0.025, "hop": 0.01}
    assert np.allclose(log_mel(noise, **told), log_mel(5 * noise, **told), atol=1e-3)


def test_batches_of_sounds_are_padded_and_masked() -> None:
    kind = Audio(rate=RATE, mels=8)
    items = [
        kind.decode(wav(np.random.default_rng(n).standard_normal(n).astype(np.float32) / 9))
        for n in (400, 900)
    ]
    derived = kind.batch([kind.derive(item) for item in items], None)
    assert derived["_mask"].sum(1).tolist() == [kind.length(400), kind.length(900)]
    assert (derived[""][derived["_mask"] == 0] == 0).all()
    assert np.allclose(derived[""], kind.batch(items, None)[""], atol=2e-3)  # kept with half precision
    waves = Audio(rate=RATE, features="waveform")
    assert waves.batch(items, None)[""].shape == (2, 900)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Image, {"size": 0}, "size: a whole number from 1 to 8192"),
        (Image, {"size": "big"}, "size: a whole number"),
        (Image, {"size": [8, 8, 8]}, "size: one number or 2 are wanted"),
        (Image, {"size": 8, "channels": 2}, "channels: 1 or 3"),
        (Image, {"size": 8, "std": 0}, "std: a number"),
        (Image, {"size": 8, "mean": [0.5, 0.5]}, "mean: one number or 3"),
        (Image, {"size": 8, "mean": float("nan")}, "mean: a number"),
        (Image, {"size": 8, "resize": "crap"}, "resize: unknown word 'crap'; did you mean `crop`"),
        (Image, {"size": 8, "max_pixels": 0}, "max_pixels"),
        (Image, {"size": 8, "columns": ["a", "b"]}, "columns: a file stands in one column, found a, b"),
        (Image, {"size": 8, "augment": {"shift": -1}}, "augment.shift: a whole number of at least 0"),
        (Image, {"size": 8, "augment": {"crop": 1}}, "augment.crop: a number from 0 to 0.99"),
        (
            Image,
            {"size": 8, "augment": {"flip": "often"}},
            "augment.flip: must be float, not the text `often`",
        ),
        (Audio, {"rate": "8k"}, "rate: a whole number from 1000 to 384000 is wanted, found '8k'"),
        (Audio, {"features": "logmel"}, "features: unknown word 'logmel'; did you mean `log_mel`"),
        (Audio, {"mels": 4000}, "mels: a whole number from 1 to 512"),
        (Audio, {"hop": 5}, "hop: a number from 0 to 1"),
        (Audio, {"window": -1}, "window: a number"),
        (Audio, {"columns": ["a", "b"]}, "columns: a file stands in one column"),
        (Audio, {"augment": {"noise": -0.1}}, "augment.noise: a number from 0"),
        (Audio, {"augment": {"shift": -1}}, "augment.shift: a number from 0"),
        (Audio, {"augment": {"band_masks": -1}}, "augment.band_masks: a whole number of at least 0"),
        (Audio, {"augment": {"speed": 1}}, "augment.speed: a number from 0 to 0.99"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(kind: Any, settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        kind(**settings)


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="brightness"):
        Image(size=8, augment={"brightnes": 0.2})
