"""What is on this machine already, by a look: nothing is fetched, unpacked or written."""

from __future__ import annotations

from pathlib import Path

from llm_lab.assets import cache
from llm_lab.assets.digest import member_key
from llm_lab.assets.parser import parse
from llm_lab.assets.uri import PackageUri, RemoteUri
from llm_lab.errors import AssetError


def present(uri: str) -> Path | None:
    """The local file or folder of an asset that `resolve` has fetched before, or that is a local one.

    None for everything else, and for what only the hub's library, git or a run's hash could find.
    """
    try:
        asset = parse(uri)
    except AssetError:
        return None
    if isinstance(asset, RemoteUri) and asset.scheme == "file" and not asset.steps:
        path = Path(asset.location).expanduser()
        return path if path.exists() else None
    if not isinstance(asset, PackageUri | RemoteUri) or not asset.steps:
        return None
    sha256 = asset.sha256 or cache.recall(asset.root)
    strip_top = isinstance(asset, PackageUri) and asset.sdist
    return cache.load(member_key(sha256, asset.steps, strip_top=strip_top)) if sha256 else None
