"""Find the file of a pinned package on the indexes that pip is configured with; nothing of it is run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llm_lab.assets.fetch import client, redacted
from llm_lab.assets.near import proposal
from llm_lab.assets.offline import missing, offline_switch
from llm_lab.assets.pipconfig import PipSettings, pip_settings
from llm_lab.assets.uri import PackageUri
from llm_lab.errors import AssetError


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A wheel or source distribution: its address, file name and sha256 (`""` where the index gives none)."""

    url: str
    filename: str
    sha256: str


def find(uri: PackageUri, *, sha256: str) -> Distribution:
    """The file that `uri` pins, the one with `sha256` where that is given.

    Raises AssetError where no index can be asked, where the package, version or kind of file is not there
    (naming the nearest versions), and where every file of that version has another sha256.
    """
    from packaging.version import InvalidVersion

    settings = pip_settings()
    packages, faults = _ask(uri, settings, local_only=bool(offline_switch()))
    if not packages and (switch := offline_switch()):
        raise missing(str(uri), sha256=sha256, why=f"{switch} forbids the network")
    if not packages and faults:
        raise missing(str(uri), sha256=sha256, why=f"no package index answered ({faults[0]})")
    try:
        return _choose(uri, packages, sha256)
    except InvalidVersion as error:
        raise AssetError(f"{uri}: {error}") from error


def _choose(uri: PackageUri, packages: list[Any], sha256: str) -> Distribution:
    from packaging.version import Version

    if not packages:
        raise AssetError(f"{uri}: the package index knows no package {uri.name!r}")
    pinned = [package for package in packages if Version(package.version) == Version(uri.version)]
    if not pinned:
        near = proposal(uri.version, (package.version for package in packages))
        raise AssetError(f"{uri}: {uri.name} has no version {uri.version}{near}")
    fitting = [_distribution(package.link) for package in pinned if package.link.is_wheel != uri.sdist]
    if not fitting:
        other = (
            "only a wheel: leave [sdist] out"
            if uri.sdist
            else f"no wheel: write {uri.name}=={uri.version}[sdist]"
        )
        raise AssetError(f"{uri}: {uri.name} {uri.version} has {other}")
    return _of_hash(uri, fitting, sha256)


def _of_hash(uri: PackageUri, fitting: list[Distribution], sha256: str) -> Distribution:
    by_trust = sorted(fitting, key=lambda file: (file.sha256 != sha256, bool(file.sha256)))
    best = by_trust[0] if sha256 else fitting[0]
    if sha256 and best.sha256 not in (sha256, ""):
        raise AssetError(f"{uri}: the index gives {best.filename} the sha256 {best.sha256}, not {sha256}")
    return best


def _distribution(link: Any) -> Distribution:
    hashes = {name: values[0] for name, values in (link.hash_option or {}).items()}
    return Distribution(
        url=link.url_without_fragment, filename=link.filename, sha256=hashes.get("sha256", "").lower()
    )


def _ask(uri: PackageUri, settings: PipSettings, *, local_only: bool) -> tuple[list[Any], list[str]]:
    """All files of the package, and what went wrong: a source that cannot be reached does not stop others."""
    import httpx2
    from unearth import PackageFinder

    packages: list[Any] = []
    with client(settings) as opened, _listened("unearth") as faults:
        for source in _sources(settings, local_only=local_only):
            finder = PackageFinder(session=opened, ignore_compatibility=True, **source)
            try:
                packages.extend(finder.find_all_packages(uri.name, allow_yanked=True))
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
                faults.append(redacted(f"{next(iter(source.values()))[0]}: {error}"))
    return packages, [fault for fault in faults if "Client Error(404)" not in fault]


def _sources(settings: PipSettings, *, local_only: bool) -> Iterable[dict[str, list[str]]]:
    every = [("index_urls", url) for url in settings.index_urls] + [
        ("find_links", url) for url in settings.find_links
    ]
    return [{kind: [url]} for kind, url in every if not (local_only and url.startswith(("http:", "https:")))]


@contextmanager
def _listened(name: str) -> Iterator[list[str]]:
    """Collect a library's warnings instead of printing them."""
    heard: list[str] = []
    logger, handler = logging.getLogger(name), logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.propagate, before = False, logger.propagate
    try:
        yield heard
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
