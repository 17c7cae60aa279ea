"""Any other scheme, through fsspec: one file, or a folder where no sha256 is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm_lab.assets.near import proposal
from llm_lab.assets.offline import missing, offline_switch
from llm_lab.assets.parser import SCHEMES
from llm_lab.assets.show import announce
from llm_lab.assets.uri import RemoteUri
from llm_lab.errors import AssetError


def check_scheme(uri: RemoteUri) -> None:
    """AssetError that names the nearest scheme where nothing can read this one."""
    from fsspec import available_protocols  # type: ignore[import-untyped]

    if uri.scheme not in available_protocols():
        known = proposal(uri.scheme, SCHEMES) or proposal(uri.scheme, available_protocols())
        raise AssetError(f"{uri}: the scheme {uri.scheme}:// is not known{known}")


def fetch_remote(uri: RemoteUri, target: Path, *, licence: str) -> None:
    """Copy the file or folder to `target`; AssetError where it cannot be had."""
    if switch := offline_switch():
        raise missing(str(uri), sha256=uri.sha256, why=f"{switch} forbids the network")
    try:
        system = _filesystem(uri)
        facts = system.info(uri.location)
        announce(uri.root, size=facts.get("size"), licence=licence)
        system.get(uri.location, str(target), recursive=facts["type"] == "directory")
    except ImportError as error:
        raise AssetError(f"{uri}: {error}") from error
    except Exception as error:
        # each storage library has its own family of exceptions
        raise missing(
            str(uri), sha256=uri.sha256, why=f"the storage says: {type(error).__name__}: {error}"
        ) from error


def _filesystem(uri: RemoteUri) -> Any:
    import fsspec

    return fsspec.filesystem(uri.scheme)
