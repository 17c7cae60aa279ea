"""Pictures: decoded with bounds, brought to one size, augmented in batches."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from llm_lab.config import build
from llm_lab.data.multimodal.drawing import is_drawing, render
from llm_lab.data.multimodal.image_augment import ImageAugment
from llm_lab.data.multimodal.kind import Array, Chance, MediaKind
from llm_lab.data.record import UnusableError
from llm_lab.data.table import Batch
from llm_lab.errors import ConfigError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # no format whose decoder runs a program
MODES = {1: "L", 3: "RGB"}
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
        resize: Literal["stretch", "crop", "pad"] = "crop",
        mean: float | Sequence[float] = 0.5,
        std: float | Sequence[float] = 0.5,
        max_pixels: int = 50_000_000,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(columns=columns, optional=optional)
        height, width = (size, size) if isinstance(size, int) else size
        if channels not in MODES or min(height, width) < 1:
            raise ConfigError(
                f"{height} x {width} pixels and {channels} channels: wanted are 1 or 3 channels"
            )
        self.height, self.width, self.channels, self.resize = height, width, channels, resize
        self.mean, self.std = mean, std
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
        except UnusableError:
            raise
        except UnidentifiedImageError:
            raise UnusableError("no picture", repr(content[:16])) from None
        except Pillow.DecompressionBombError as error:
            raise UnusableError("picture too large", error) from None
        except Exception as error:  # noqa: BLE001 - decoders raise whatever a broken file leads them to
            raise UnusableError("broken picture", error) from None
        return self._sized(picture)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise UnusableError("picture too large", f"{width} x {height} pixels")

    def accept(self, values: Array) -> Array:
        """Pixels [H, W], [H, W, C] or those of a square in a row."""
        side = math.isqrt(values.size)
        if values.ndim == 1 and side * side == values.size:
            values = values.reshape(side, side)
        if values.ndim not in {2, 3}:
            raise UnusableError("no picture", f"{values.size} pixel values are no square")
        return self._sized(Pillow.fromarray(values.astype(np.uint8)))

    def _sized(self, picture: Pillow.Image) -> Array:
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
        size = (self.width, self.height)
        ratios = self.width / picture.width, self.height / picture.height
        if self.resize == "stretch":
            return picture.resize(size)
        ratio = max(ratios) if self.resize == "crop" else min(ratios)
        width, height = max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio))
        picture = picture.resize((width, height))
        whole = Pillow.new(picture.mode, size)
        whole.paste(picture, ((self.width - width) // 2, (self.height - height) // 2))
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


def _augment(settings: Mapping[str, Any] | None) -> ImageAugment | None:
    if not settings:
        return None
    target = f"{ImageAugment.__module__}.{ImageAugment.__name__}"
    return build({"_target_": target, **settings}, expected=ImageAugment, key="augment")
