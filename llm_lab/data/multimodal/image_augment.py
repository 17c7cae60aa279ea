"""Random changes of training pictures, each row by its own generator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from llm_lab.data.multimodal.bounds import check_number
from llm_lab.data.multimodal.kind import Chance

Pixels = npt.NDArray[np.float32]
GREY = 0.5
ODD = np.log(4 / 3)  # most by which a part's proportions differ from the whole's


class ImageAugment:
    """Crop, flip, colour and erasing.

    Args:
        crop: most of the area that is cut off; the rest, in proportions from 3:4 to 4:3 of the picture's own, is
            brought back to its size (Szegedy et al. 2015).
        shift: most pixels by which a picture is moved in each direction; what comes in is a copy of the rim.
        flip: probability of a mirror image.
        brightness: factor between 1 - x and 1 + x.
        contrast: the same for distances from the mean.
        colour: the same for each channel by itself.
        erase: share of each side of a square that is greyed out (Zhong et al. 2020); 0 for none.
    """

    def __init__(
        self,
        *,
        crop: float = 0.0,
        shift: int = 0,
        flip: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        colour: float = 0.0,
        erase: float = 0.0,
    ) -> None:
        shares = {
            "crop": crop,
            "flip": flip,
            "brightness": brightness,
            "contrast": contrast,
            "colour": colour,
            "erase": erase,
        }
        for name, share in shares.items():
            check_number(f"augment.{name}", share, 0, 0.99 if name == "crop" else 1)
        check_number("augment.shift", shift, 0, whole=True)
        self.crop, self.shift, self.flip, self.erase = crop, shift, flip, erase
        self.brightness, self.contrast, self.colour = brightness, contrast, colour

    def __call__(self, pixels: Pixels, chance: Chance) -> Pixels:
        """Pictures [B, H, W, C] with values between 0 and 1, changed; the array given stays as it is."""
        changed = pixels.copy()
        for number, rng in enumerate(chance or ()):
            changed[number] = self._one(pixels[number], rng)
        return changed

    def _one(self, picture: Pixels, rng: np.random.Generator) -> Pixels:
        """One picture; numbers are drawn in the same order whatever is switched on."""
        down, right = rng.integers(-self.shift, self.shift + 1, 2)
        mirrored, (light, contrast), tints = (
            rng.random() < self.flip,
            rng.uniform(-1, 1, 2),
            rng.uniform(-1, 1, 3),
        )
        if self.shift:
            picture = moved(picture, int(down), int(right))
        picture = picture[:, ::-1] if mirrored else picture
        if self.brightness or self.contrast or self.colour:
            mean = picture.mean()
            picture = (picture - mean) * np.float32(1 + self.contrast * contrast) + mean
            tint = 1 + self.colour * tints[: picture.shape[-1]]
            picture = np.clip(picture * (tint * (1 + self.brightness * light)).astype(np.float32), 0, 1)
        picture = self._cropped(picture, rng) if self.crop else picture
        return self._erased(picture, rng) if self.erase else picture

    def _cropped(self, picture: Pixels, rng: np.random.Generator) -> Pixels:
        """A part of the picture in the size of the whole."""
        side = np.sqrt(1 - self.crop * rng.random())
        stretch = np.sqrt(np.exp(rng.uniform(-ODD, ODD)))
        high, wide = min(1.0, side * stretch), min(1.0, side / stretch)  # shares of height and width
        top, left = rng.random(2) * (1 - high, 1 - wide)
        return magnified(picture, (left, top, left + wide, top + high))

    def _erased(self, picture: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = (max(1, round(side * self.erase)) for side in picture.shape[:2])
        top = rng.integers(0, picture.shape[0] - height + 1)
        left = rng.integers(0, picture.shape[1] - width + 1)
        picture = picture.copy()
        picture[top : top + height, left : left + width] = GREY
        return picture


def magnified(picture: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """The part of a picture [H, W, C] in a box, its left, top, right and bottom as shares, in the size of the whole."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box
    bounds = left * width, top * height, right * width, bottom * height
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(channel)).resize(
                (width, height), Image.Resampling.BILINEAR, box=bounds
            )
        )
        for channel in np.moveaxis(picture, -1, 0)
    ]
    return np.stack(channels, axis=-1)


def moved(picture: Pixels, down: int, right: int) -> Pixels:
    """A picture [H, W, C] moved by so many pixels, its rim repeated."""
    rows = np.clip(np.arange(picture.shape[0]) - down, 0, picture.shape[0] - 1)
    columns = np.clip(np.arange(picture.shape[1]) - right, 0, picture.shape[1] - 1)
    return picture[rows][:, columns]
