"""A program of its own that renders drawings: whatever a drawing does to it, who asked lives on.

It reads drawings from standard input and writes PNG files, or why there is none, to standard output. It imports
nothing of the lab, so that it starts fast.
"""

from __future__ import annotations

import struct
import sys
from contextlib import suppress

REQUEST = struct.Struct(
    "<IIII"
)  # bytes of a drawing, width and height in pixels, seconds; the drawing follows
ANSWER = struct.Struct("<?I")  # whether it was rendered, bytes of a picture or of a reason; they follow
MEMORY = 1 << 30  # bytes


def main() -> None:
    """Answer until there is nothing more to read."""
    import resvg_py

    limit_memory()
    while head := sys.stdin.buffer.read(REQUEST.size):
        size, width, height, seconds = REQUEST.unpack(head)
        text = sys.stdin.buffer.read(size).decode()
        limit_time(seconds)
        try:
            told = resvg_py.svg_to_bytes(svg_string=text, width=width, height=height, skip_system_fonts=True)
            good = True
        except BaseException as error:  # noqa: BLE001 - a panic of the library is no Exception
            told, good = str(error).encode("utf-8", "replace"), False
        sys.stdout.buffer.write(ANSWER.pack(good, len(told)) + told)
        sys.stdout.buffer.flush()


def limit_memory() -> None:
    """Let the system end this process where it takes more; Windows knows no such limits."""
    if sys.platform != "win32":
        import resource

        _limit(resource.RLIMIT_CORE, 0)
        with suppress(ValueError, OSError):  # not every system bounds it
            _limit(resource.RLIMIT_AS, MEMORY)


def limit_time(seconds: int) -> None:
    """The same for what the next drawing takes of the processor, however busy the machine is."""
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds)


def _limit(what: int, most: int) -> None:
    import resource

    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
