"""Every data file and every weight is a URI that resolves to a checked, cached local path."""

from __future__ import annotations

from llm_lab.assets.cache import home, room
from llm_lab.assets.digest import sha256_of
from llm_lab.assets.resolver import fingerprint, resolve, saved_in

__all__ = ["fingerprint", "home", "resolve", "room", "saved_in", "sha256_of"]
