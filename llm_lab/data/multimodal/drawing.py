"""Drawings (SVG) as pictures: rendered in the size that is wanted, whatever size they claim."""

from __future__ import annotations

import codecs
import io
import re

from PIL import Image

from llm_lab.data.record import UnusableError

MOST_BYTES = 1 << 22  # of a drawing; each of its elements costs time and memory
HEAD = 4096  # bytes in which an SVG says what it is
OUTSIDE = re.compile(r"""href\s*=(?!\s*["']\s*#)|<!ENTITY""")  # entities could spell a reference in pieces


def is_drawing(content: bytes) -> bool:
    """Whether a file begins as an SVG does."""
    head = content[:HEAD].removeprefix(codecs.BOM_UTF8)
    return head.lstrip().startswith(b"<") and b"<svg" in head


def render(content: bytes, *, width: int, height: int) -> Image.Image:
    """The drawing with its proportions, as large as fits; what it leaves free is transparent.

    Nothing outside of it is read: no file, no address, no font, so that texts are left out. An embedded picture
    is refused too, since it could unpack to anything.

    Raises:
        UnusableError: too large, broken, or with a reference to something that is not in it.
    """
    import resvg_py

    if len(content) > MOST_BYTES:
        raise UnusableError("drawing too large", f"{len(content)} bytes, at most {MOST_BYTES}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableError("broken drawing", error) from None
    if found := OUTSIDE.search(text):
        raise UnusableError("drawing that refers to something outside", text[found.start() :][:60])
    try:
        picture = resvg_py.svg_to_bytes(svg_string=text, width=width, height=height, skip_system_fonts=True)
    except ValueError as error:
        raise UnusableError("broken drawing", error) from None
    return Image.open(io.BytesIO(picture), formats=["PNG"])
