"""Whether the network may be asked, and the error where it would be needed."""

from __future__ import annotations

import os
from pathlib import Path

from llm_lab.assets.cache import home
from llm_lab.errors import AssetError

_SWITCHES = ("LLM_LAB_OFFLINE", "HF_HUB_OFFLINE")


def offline_switch() -> str:
    """The environment variable that forbids the network, as `NAME=value`; empty where none does."""
    for name in _SWITCHES:
        if os.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
            return f"{name}={os.environ[name]}"
    return ""


def mirrors() -> list[Path]:
    """The folders named by `LLM_LAB_MIRROR`."""
    names = os.environ.get("LLM_LAB_MIRROR", "").split(os.pathsep)
    return [Path(name).expanduser().absolute() for name in names if name]


def missing(uri: str, *, sha256: str, why: str) -> AssetError:
    """The error of an asset that cannot be had: names the URI, why, and what would satisfy it."""
    wanted = f"a file with sha256 {sha256}" if sha256 else "the file (and its #sha256= at the end of the URI)"
    return AssetError(
        f"{uri}: no copy in the cache ({home()}) and {why}. Either put {wanted} into a folder named by "
        f"LLM_LAB_MIRROR ({_mirror_state()}), or ask once with a network: the cache keeps it."
    )


def _mirror_state() -> str:
    if not mirrors():
        return "not set now"
    return "now " + ", ".join(
        f"{path}{'' if path.is_dir() else ', which is no folder'}" for path in mirrors()
    )
