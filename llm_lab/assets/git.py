"""`git+https://`: files of one commit, each proven by the sha256 in a manifest, from the mirror or by git."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from llm_lab.assets import cache, mirror
from llm_lab.assets.digest import digest_of, sha256_of
from llm_lab.assets.near import proposal
from llm_lab.assets.offline import missing, offline_switch
from llm_lab.assets.parser import clean_path
from llm_lab.assets.show import announce
from llm_lab.assets.uri import GitUri
from llm_lab.config.search_path import conf_root
from llm_lab.errors import AssetError

_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
# The repository is not trusted: no hooks, no links, no other transport, and no waiting on a dead line.
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.symlinks=false",
    "protocol.ext.allow=never",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "advice.detachedHead=false",
)


def fetch_git(uri: GitUri, *, base: Path | None, licence: str) -> Path:
    """The folder or file `uri.path` as the manifest lists it; AssetError where a file is missing or other."""
    wanted = manifest(uri, base=base)

    def make(folder: Path) -> Path:
        target = folder / (uri.path.rpartition("/")[2] or "tree")
        if not _from_mirror(uri, wanted, target):
            _from_git(uri, wanted, target, licence)
        return target

    content = digest_of(uri.path, *(f"{sha256} {name}" for name, sha256 in sorted(wanted.items())))
    return cache.once(f"git/{content}", make, uri=str(uri))


def manifest(uri: GitUri, *, base: Path | None) -> dict[str, str]:
    """The sha256 by path of the manifest's files that lie at or below `uri.path`.

    A relative manifest is looked for under `base`, else among the shipped configs.
    """
    path = (base or Path.cwd()) / Path(uri.manifest).expanduser()
    shipped = conf_root() / uri.manifest
    path = shipped if shipped.is_file() and not path.is_file() else path
    if not path.is_file():
        raise AssetError(f"{uri}: its manifest {path} is not there")
    listed: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if not found:
            raise AssetError(
                f"{path}:{number}: not a line of sha256sum: 64 hexadecimal digits, two spaces, a path"
            )
        listed[clean_path(str(uri), found[2])] = found[1].lower()
    below = {
        name: digest
        for name, digest in listed.items()
        if f"{name}/".startswith(f"{uri.path}/" if uri.path else "")
    }
    if not below:
        raise AssetError(f"{uri}: {path} lists nothing at {uri.path!r}{proposal(uri.path, listed)}")
    return below


def _place(uri: GitUri, name: str, target: Path) -> Path:
    """Where a file of the manifest goes: `target` itself where the URI names that one file."""
    path = target / name[len(uri.path) :].strip("/") if name != uri.path else target
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _from_mirror(uri: GitUri, wanted: dict[str, str], target: Path) -> bool:
    found = mirror.find_all({sha256: Path(name).name for name, sha256 in wanted.items()})
    if any(sha256 not in found for sha256 in wanted.values()):
        return False
    for name, sha256 in wanted.items():
        shutil.copyfile(found[sha256], _place(uri, name, target))
    return True


def _from_git(uri: GitUri, wanted: dict[str, str], target: Path, licence: str) -> None:
    if not uri.url.startswith("file:") and (switch := offline_switch()):
        raise missing(str(uri), sha256=next(iter(wanted.values())), why=f"{switch} forbids the network")
    if not shutil.which("git"):
        raise AssetError(f"{uri}: needs the program git, which is not installed")
    announce(str(uri), licence=licence)
    with tempfile.TemporaryDirectory(dir=target.parent.parent) as folder:
        _checkout(uri, Path(folder))
        for name, sha256 in wanted.items():
            _take(uri, Path(folder) / name, _place(uri, name, target), sha256)


def _take(uri: GitUri, source: Path, target: Path, sha256: str) -> None:
    if not source.is_file():
        raise AssetError(f"{uri}: the commit holds no file {source.name!r}, which the manifest lists")
    if (actual := sha256_of(source)) != sha256:
        raise AssetError(f"{uri}: {source.name} has sha256 {actual}, the manifest says {sha256}")
    shutil.copyfile(source, target)


def _checkout(uri: GitUri, folder: Path) -> None:
    pattern = re.sub(r"([*?\[\\!#\s])", r"\\\1", uri.path)
    _git(uri, folder, "init", "--quiet", ".")
    _git(uri, folder, "sparse-checkout", "set", "--no-cone", f"/{pattern or '*'}")
    _git(uri, folder, "fetch", "--quiet", "--depth=1", "--filter=blob:none", uri.url, uri.commit)
    _git(uri, folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")


def _git(uri: GitUri, folder: Path, *words: str) -> None:
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    done = subprocess.run(
        ["git", *settings, *words],
        cwd=folder,
        env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_DIR": str(folder / ".git")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise missing(str(uri), sha256="", why=f"git {words[0]} failed ({last})")
