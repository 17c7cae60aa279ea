"""From ``model.source`` to a local folder that is safe to load."""

from __future__ import annotations

from pathlib import Path

from llm_lab.assets import resolve, saved_in
from llm_lab.errors import AssetError


def model_folder(source: str, *, licence: str = "") -> Path:
    """The local folder of a model: a folder's path as it is, anything else through the asset resolver.

    Of a run directory it is the ``model`` in it; a GGUF file is converted once.

    Args:
        source: URI or path.
        licence: shown before a download.

    Raises:
        AssetError: no folder, no ``config.json`` in it, or weights only as pickles.
    """
    folder = resolve(source, licence=licence) if "://" in source else Path(source).expanduser().resolve()
    folder = saved_in(folder)
    if not (folder / "config.json").is_file():
        raise AssetError(
            f"model.source: {source} is no model folder: {folder / 'config.json'} does not exist"
        )
    if not list(folder.glob("*.safetensors")):
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f"only {', '.join(pickles)}, a pickle, which could run code" if pickles else "no weights"
        raise AssetError(
            f"model.source: {source} has {found}; wanted are safetensors, which transformers writes"
        )
    return folder
