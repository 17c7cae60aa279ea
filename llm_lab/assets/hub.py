"""`hf://`: models and data sets of the Hugging Face hub, by its own library, cache and offline variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm_lab.assets.near import proposal
from llm_lab.assets.offline import offline_switch
from llm_lab.assets.show import announce
from llm_lab.assets.uri import HubUri
from llm_lab.errors import AssetError

# Weights of other frameworks, several times the size of what is needed.
_FOREIGN = [
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "*.tflite",
    "*.mlmodel",
    "onnx/*",
    "openvino/*",
    "coreml/*",
]


def fetch_hub(uri: HubUri, *, licence: str) -> Path:
    """The snapshot folder in the hub's cache, or `uri.path` in it; AssetError where it cannot be had."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = _snapshot(uri, licence)
    except LocalEntryNotFoundError as error:
        switch = offline_switch()
        why = (
            f"{switch} forbids the network" if switch else f"the hub cannot be reached ({_first_line(error)})"
        )
        raise AssetError(
            f"{uri}: no copy in the hub's cache and {why}. Either ask once with a network: the cache "
            f"keeps it, or name a folder that holds it: file://FOLDER"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise AssetError(f"{uri}: {_first_line(error)}") from error
    if not (folder / uri.path).exists():
        held = (file.relative_to(folder).as_posix() for file in folder.rglob("*"))
        raise AssetError(f"{uri}: {uri.repo} holds no {uri.path!r}{proposal(uri.path, held)}")
    return folder / uri.path


def _snapshot(uri: HubUri, licence: str) -> Path:
    if not offline_switch():
        announce(str(uri), licence=licence)
    if uri.path:
        return _download(uri, allow_patterns=[uri.path, f"{uri.path}/*"])
    if uri.kind == "dataset":
        return _download(uri)
    folder = _download(uri, ignore_patterns=[*_FOREIGN, "*.bin", "*.pt", "*.pth", "*.ckpt"])
    if any(folder.rglob("*.safetensors")) or any(folder.rglob("*.gguf")):
        return folder
    return _download(uri, allow_patterns=["*.bin", "*.bin.index.json"])  # an old model: no safetensors


def _download(uri: HubUri, **patterns: Any) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            uri.repo,
            repo_type=uri.kind,
            revision=uri.revision or None,
            local_files_only=bool(offline_switch()),
            etag_timeout=5,
            **patterns,
        )
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
