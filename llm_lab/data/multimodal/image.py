"""Pictures: decoded with bounds, brought to one size, augmented in batches."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from llm_lab.config import build
from llm_lab.data.multimodal.bounds import check_number, check_word, numbers
from llm_lab.data.multimodal.drawing import is_drawing, render
from llm_lab.data.multimodal.image_augment import ImageAugment
from llm_lab.data.multimodal.kind import Array, Chance, MediaKind
from llm_lab.data.record import UnusableError
from llm_lab.data.table import Batch
from llm_lab.errors import ConfigError

Resize = Literal["stretch", "crop", "pad"]
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # no format whose decoder runs a program
MODES = {1: "L", 3: "RGB"}
CHANNELS = range(1, 5)  # that the last size of an array may be: grey or colour, either with transparency
MOST_SIDE = 8192  # that may be asked for
LEVEL = 1000.0  # most by which pixel values are moved, or scaled either way
WHITE = 255
MOST_RATIO = 200  # of the longer side to the shorter one
SMALL = 32  # side of the picture that baselines see


class Image(MediaKind):
    """Pictures and drawings (SVG) of one size, uint8 [H, W, C] in store, float32 [B, C, H, W] in a batch.

    Args:
        columns: see `Kind`.
        optional: see `Kind`.
        size: height and width in pixels, or one number for both.
        channels: 3 for colour, 1 for grey.
        resize: ``stretch`` ignores proportions, ``crop`` cuts what stands over, ``pad`` fills up with black.
        mean: of pixel values between 0 and 1, taken off; one number or one for each channel.
        std: divides what is left.
        max_pixels: a picture with more is refused before it is decoded.
        augment: settings of `llm_lab.data.multimodal.image_augment.ImageAugment`, for training rows.
    """

    kind, dtype = "image", "uint8"

    def __init__(
        self,
        *,
        columns: Sequence[str] | str | None = None,
        optional: bool = False,
        size: int | tuple[int, int],
        channels: int = 3,
        resize: Resize = "crop",
        mean: float | Sequence[float] = 0.5,
        std: float | Sequence[float] = 0.5,
        max_pixels: int = 50_000_000,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(columns=columns, optional=optional)
        self.height, self.width = numbers("size", size, 2, 1, MOST_SIDE, whole=True)
        if channels not in MODES:
            raise ConfigError(f"channels: 1 or 3 are wanted, found {channels!r}")
        check_word("resize", resize, get_args(Resize))
        numbers("mean", mean, channels, -LEVEL, LEVEL)
        numbers("std", std, channels, 1 / LEVEL, LEVEL)
        check_number("max_pixels", max_pixels, 1)
        self.channels, self.resize, self.mean, self.std = channels, resize, mean, std
        self.max_pixels = max_pixels
        self.augment = _augment(augment)

    @property
    def item(self) -> tuple[int, ...]:
        """Width and channels; rows of pixels are the first size."""
        return self.width, self.channels

    def decode(self, content: bytes) -> Array:
        """Pixels uint8 [H, W, C]; the size is looked at before a pixel is unpacked. A drawing (SVG) is rendered."""
        if is_drawing(content):
            side = max(self.height, self.width)
            return self._sized(render(content, width=side, height=side))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
                picture = Pillow.open(io.BytesIO(content), formats=FORMATS)
                self._check_size(picture.width, picture.height)
                picture.load()
            ImageOps.exif_transpose(picture, in_place=True)
            return self._sized(_in_bytes(picture))
        except UnusableError:
            raise
        except UnidentifiedImageError:
            raise UnusableError("no picture", repr(content[:16])) from None
        except Pillow.DecompressionBombError as error:
            raise UnusableError("picture too large", error) from None
        except Exception as error:  # noqa: BLE001 - decoders raise whatever a broken file leads them to
            raise UnusableError("broken picture", error) from None

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise UnusableError("picture too large", f"{width} x {height} pixels")
        if max(width, height) > MOST_RATIO * min(width, height):
            raise UnusableError("picture too long for its width", f"{width} x {height} pixels")

    def accept(self, values: Array) -> Array:
        """Pixels from 0 to 255: [H, W], [H, W, C], [C, H, W] or those of a square in a row."""
        return self._sized(Pillow.fromarray(_bytes(_picture_shaped(values))))

    def _sized(self, picture: Pillow.Image) -> Array:
        self._check_size(*picture.size)
        if (
            picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info
        ):  # on white, as a page shows it
            over = picture.convert("RGBA")
            picture = Pillow.alpha_composite(Pillow.new("RGBA", over.size, "white"), over)
        picture = picture.convert(MODES[self.channels])
        if picture.size != (self.width, self.height):
            picture = self._resized(picture)
        return np.asarray(picture).reshape(self.height, self.width, self.channels)

    def _resized(self, picture: Pillow.Image) -> Pillow.Image:
        """In the size that is wanted; of what is cut off nothing is made."""
        size = (self.width, self.height)
        if self.resize == "crop":
            return ImageOps.fit(picture, size)
        if self.resize == "stretch":
            return picture.resize(size)
        ratio = min(self.width / picture.width, self.height / picture.height)
        width, height = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
        whole = Pillow.new(picture.mode, size)
        whole.paste(picture.resize((width, height)), ((self.width - width) // 2, (self.height - height) // 2))
        return whole

    def batch(self, items: Sequence[Array], chance: Chance) -> Batch:
        """``""``: float32 [B, C, H, W]."""
        pixels, white = np.stack(items), 255.0
        if chance is not None and self.augment:
            pixels, white = self.augment(pixels.astype(np.float32) / np.float32(white), chance), 1.0
        std = torch.as_tensor(self.std, dtype=torch.float32).reshape(-1, 1, 1)
        mean = torch.as_tensor(self.mean, dtype=torch.float32).reshape(-1, 1, 1)
        # Channels stay last in memory, where convolutions read them fastest, and nothing is copied once more.
        values = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        return {"": values.mul_(1 / (white * std)).sub_(mean / std)}

    def blank(self) -> Array:
        """A black picture."""
        return np.zeros((self.height, self.width, self.channels), np.uint8)

    def features(self, item: Array) -> npt.NDArray[np.float32]:
        """Pixel values between 0 and 1 of the picture, no larger than 32 x 32."""
        picture = Pillow.fromarray(item.squeeze(-1) if self.channels == 1 else np.asarray(item))
        if max(self.height, self.width) > SMALL:
            picture = picture.resize((min(self.width, SMALL), min(self.height, SMALL)))
        return np.asarray(picture, np.float32).ravel() / np.float32(255)

    def facts(self) -> dict[str, Any]:
        """Size and what rebuilds the kind; augmentation is of training only."""
        names = ("columns", "optional", "channels", "resize", "mean", "std", "max_pixels")
        return {
            "kind": self.kind,
            "size": [self.height, self.width],
            **{name: getattr(self, name) for name in names},
        }


def _in_bytes(picture: Pillow.Image) -> Pillow.Image:
    """The picture, a grey one of more than 8 bits scaled to them.

    Raises:
        UnusableError: whole or floating-point numbers of which nobody says what is white.
    """
    if picture.mode == "F":
        raise UnusableError("picture of floating-point numbers", "what is white in it is not said")
    if not picture.mode.startswith("I"):
        return picture
    deep = picture.mode != "I" or picture.format in {"PNG", "PPM"}  # 16 bits, which Pillow may keep in 32
    values = np.asarray(picture)
    return Pillow.fromarray((values >> 8).astype(np.uint8) if deep else _bytes(values))


def _bytes(values: Array) -> Array:
    """Pixel values as uint8.

    Raises:
        UnusableError: some are no numbers from 0 to 255, or all are shares of 1.
    """
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= WHITE):  # which holds for what is no number as well
        raise UnusableError("pixel values that are not from 0 to 255", f"{low:g} to {high:g}")
    if high <= 1 and (values % 1).any():
        raise UnusableError("pixel values from 0 to 1", "wanted are those from 0 to 255")
    return values.astype(np.uint8)


def _picture_shaped(values: Array) -> Array:
    """Values [H, W] or [H, W, C] with 2 to 4 channels, as Pillow takes them."""
    side = math.isqrt(values.size)
    if values.ndim == 1 and side * side == values.size:
        values = values.reshape(side, side)
    if values.ndim == 3 and values.shape[-1] not in CHANNELS and values.shape[0] in CHANNELS:  # noqa: PLR2004
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[-1] == 1:  # noqa: PLR2004 - the channels
        values = values[:, :, 0]
    if not values.size or values.ndim not in {2, 3} or values.shape[2:] not in {(), (2,), (3,), (4,)}:
        raise UnusableError("no picture", f"pixel values of the shape {list(values.shape)}")
    return values


def _augment(settings: Mapping[str, Any] | None) -> ImageAugment | None:
    if not settings:
        return None
    target = f"{ImageAugment.__module__}.{ImageAugment.__name__}"
    return build({"_target_": target, **settings}, expected=ImageAugment, key="augment")
