"""GGUF files (the format of llama.cpp) as Hugging Face folders with safetensors weights."""

from __future__ import annotations

from pathlib import Path

from llm_lab.assets import cache
from llm_lab.assets.digest import tree_digest
from llm_lab.errors import AssetError

METHOD = 1  # counts up whenever the same file would give another folder than before


def converted(path: Path) -> Path:
    """The folder made of a file: weights in single precision, as quantized ones spell out, and the tokenizer.

    It is made by one of all processes that ask for it, once, and appears when it is complete.

    Source of the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

    Raises:
        AssetError: the file is broken, or of an architecture that transformers does not know.
    """
    return cache.once(
        f"gguf/{tree_digest(path)}-{METHOD}", lambda folder: _convert(path, folder / path.stem), uri=path.name
    )


def _convert(path: Path, folder: Path) -> Path:
    from rich.console import Console
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {
        "pretrained_model_name_or_path": str(path.parent),
        "gguf_file": path.name,
        "local_files_only": True,
    }
    Console(stderr=True).print(f"converting {path.name} to safetensors, once", markup=False, highlight=False)
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(
            **where, dtype="float32", quantization_config=GgufConfig(dequantize=True)
        )
    except Exception as error:  # the library says in a dozen ways that it cannot read a file
        detail = " ".join(str(error).split())
        raise AssetError(f"{path}: transformers cannot read this GGUF file: {detail}") from error
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
