"""Drawings (SVG) as pictures: rendered in the size that is wanted, by a process that may die of them."""

from __future__ import annotations

import atexit
import codecs
import io
import os
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

from PIL import Image

from llm_lab.data.multimodal import renderer
from llm_lab.data.record import UnusableError

MOST_BYTES = 1 << 22  # of a drawing; each of its elements costs time and memory
SECONDS = 5  # of the processor, for one
HEAD = 4096  # bytes in which an SVG says what it is
OUTSIDE = re.compile(r"""href\s*=(?!\s*["']\s*#)|<!ENTITY""")  # entities could spell a reference in pieces
IDLE: deque[Renderer] = deque()  # as many as threads have rendered at once
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=IDLE.clear)  # two processes must not talk to one renderer


def is_drawing(content: bytes) -> bool:
    """Whether a file begins as an SVG does."""
    head = content[:HEAD].removeprefix(codecs.BOM_UTF8)
    return head.lstrip().startswith(b"<") and b"<svg" in head


def render(content: bytes, *, width: int, height: int) -> Image.Image:
    """The drawing with its proportions, as large as fits; what it leaves free is transparent.

    Nothing outside of it is read: no file, no address, no font, so that texts are left out. An embedded picture
    is refused too, since it could unpack to anything.

    A few elements can ask for any depth, number and work (nested groups, uses of uses, filters, dashes), so that
    the work is done in a process with bounds of time and memory.

    Raises:
        UnusableError: too large, broken, out of these bounds, or with a reference to something that is not in it.
    """
    if len(content) > MOST_BYTES:
        raise UnusableError("drawing too large", f"{len(content)} bytes, at most {MOST_BYTES}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableError("broken drawing", error) from None
    if found := OUTSIDE.search(text):
        raise UnusableError("drawing that refers to something outside", text[found.start() :][:60])
    picture = _rendered(text.encode(), width, height)
    return Image.open(io.BytesIO(picture), formats=["PNG"])


def _rendered(drawing: bytes, width: int, height: int) -> bytes:
    """The drawing as a PNG file, by a process that waits for more of them or a new one."""
    try:
        worker = IDLE.pop()
    except IndexError:
        worker = Renderer()
    if worker.dead:  # by no fault of this drawing
        worker.close()
        worker = Renderer()
    try:
        good, told = worker.ask(drawing, width, height)
    except (OSError, EOFError):
        worker.close()
        bounds = f"{SECONDS} s, {renderer.MEMORY >> 20} MiB"
        raise UnusableError("drawing too deep or too much work", f"more than {bounds} or the stack") from None
    IDLE.append(worker)
    if not good:
        raise UnusableError("broken drawing", told.decode("utf-8", "replace"))
    return told


class Renderer:
    """A process that renders drawings one after the other; it ends with this one, or with a drawing that kills it."""

    def __init__(self) -> None:
        words = [sys.executable, "-P", str(Path(renderer.__file__))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, start_new_session=True
        )  # Ctrl-C is not for it

    @property
    def dead(self) -> bool:
        """Whether it has ended while nobody asked."""
        return self._process.poll() is not None

    def ask(self, drawing: bytes, width: int, height: int) -> tuple[bool, bytes]:
        """Whether it was rendered, and the picture or the reason.

        Raises:
            OSError: the process has died before it had all.
            EOFError: it has died of it.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - both are pipes
        assert stdout is not None  # noqa: S101
        stdin.write(renderer.REQUEST.pack(len(drawing), width, height, SECONDS) + drawing)
        stdin.flush()
        head = stdout.read(renderer.ANSWER.size)
        if len(head) < renderer.ANSWER.size:
            raise EOFError
        good, size = renderer.ANSWER.unpack(head)
        return good, stdout.read(size)

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


@atexit.register
def _close_all() -> None:
    while IDLE:
        IDLE.pop().close()
