"""Where packages come from, as pip is configured: its environment variables and configuration files."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import dataclass

_SECTIONS = ("global", "download", ":env:")  # the later wins, as in `pip download`


@dataclass(frozen=True, kw_only=True)
class PipSettings:
    """The part of pip's configuration that says how files are found."""

    index_urls: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None


def pip_settings() -> PipSettings:
    """Read pip's configuration; the default index is the one that `unearth` knows."""
    values = _configuration()
    own = tuple(values.get("index-url", "").split()) or _default_index()
    indexes = () if values.get("no-index", "").lower() in ("1", "true", "yes", "on") else own
    return PipSettings(
        index_urls=(*indexes, *(values.get("extra-index-url", "").split() if indexes else ())),
        find_links=tuple(os.path.expanduser(link) for link in values.get("find-links", "").split()),  # noqa: PTH111
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        cert=values.get("cert"),
        proxy=values.get("proxy"),
    )


def _configuration() -> dict[str, str]:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = listed.stdout.splitlines() if listed.returncode == 0 else _environment()
    found = [line.partition("=")[::2] for line in lines]
    ranked = sorted((item for item in found if _section(item[0]) in _SECTIONS), key=_rank)
    return {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in ranked}


def _environment() -> list[str]:
    """The variables alone, in the form of `pip config list`: for environments that were made without pip."""
    own = (
        (name.lower().removeprefix("pip_"), value)
        for name, value in os.environ.items()
        if name.startswith("PIP_")
    )
    return [f":env:.{name.replace('_', '-')}={value!r}" for name, value in own]


def _section(key: str) -> str:
    return key.rpartition(".")[0]


def _rank(item: tuple[str, str]) -> int:
    return _SECTIONS.index(_section(item[0]))


def _default_index() -> tuple[str, ...]:
    from unearth import PackageFinder

    return tuple(source["url"] for source in PackageFinder().sources)
