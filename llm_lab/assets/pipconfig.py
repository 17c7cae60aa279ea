"""Where packages come from, as pip is configured: its environment variables and configuration files."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

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
    lines = (*_files(os.environ.get("PIP_CONFIG_FILE")), *_environment())
    found = [(key, str(ast.literal_eval(value))) for key, _, value in (line.partition("=") for line in lines)]
    ranked = sorted((item for item in found if _section(item[0]) in _SECTIONS), key=_rank)
    return {key.rpartition(".")[2]: value for key, value in ranked}


@lru_cache
def _files(_named: str | None) -> tuple[str, ...]:
    """The lines of `pip config list` that come from files; none in an environment made without pip."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tuple(line for line in listed.stdout.splitlines() if "=" in line and not line.startswith(":env:"))


def _environment() -> Iterator[str]:
    """The variables of pip, in the form of `pip config list`."""
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            yield f":env:.{name.removeprefix('PIP_').lower().replace('_', '-')}={value!r}"


def _section(key: str) -> str:
    return key.rpartition(".")[0]


def _rank(item: tuple[str, str]) -> int:
    return _SECTIONS.index(_section(item[0]))


def _default_index() -> tuple[str, ...]:
    from unearth import PackageFinder

    return tuple(source["url"] for source in PackageFinder().sources)
