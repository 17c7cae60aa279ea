"""Two network namespaces with a cable between them: two machines, as far as the network can tell."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

ADDRESSES = ("10.77.0.1", "10.77.0.2")


def why_not() -> str | None:
    """What keeps this machine from having network namespaces; None where nothing does."""
    if shutil.which("ip") is None:
        return "no program `ip` (Debian: iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"lab{uuid4().hex[:6]}"
    made = _ip("netns", "add", name)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    _ip("netns", "delete", name)
    return None


@contextmanager
def two_nodes() -> Iterator[list[list[str]]]:
    """Make them; gives the words that run a command on each. They are taken away again in every case."""
    token = uuid4().hex[:6]
    names, cables = [f"lab{token}{end}" for end in "ab"], [f"v{token}{end}" for end in "ab"]
    try:
        for name in names:
            _must("netns", "add", name)
        _must(
            "link",
            "add",
            cables[0],
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            cables[1],
            "netns",
            names[1],
        )
        for name, cable, address in zip(names, cables, ADDRESSES, strict=True):
            _must("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            _must("-n", name, "link", "set", "lo", "up")
            _must("-n", name, "link", "set", cable, "up")
        yield [["ip", "netns", "exec", name] for name in names]
    finally:
        for name in names:
            _ip("netns", "delete", name)  # its cable goes with it


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20, check=False)


def _must(*words: str) -> None:
    done = _ip(*words)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
