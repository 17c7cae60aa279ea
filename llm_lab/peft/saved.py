"""What cannot be merged, on disk: a folder of PEFT's beside the plain model in ``base/``."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

from peft import PeftModel
from peft.utils.constants import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file, save_file
from torch import nn

from llm_lab.models.adapted import BASE
from llm_lab.models.wrapper import outline
from llm_lab.peft import bottleneck
from llm_lab.peft.prompts import watch
from llm_lab.strategies.parallel import Parallel

KIND = "LLM_LAB_BOTTLENECK"  # a kind that PEFT does not know and says so


def write_adapter(model: Any, folder: Path) -> None:
    """Write what merging has left into ``folder``, for the plain model in its ``base/``."""
    if isinstance(model, PeftModel):
        for config in model.peft_config.values():
            config.base_model_name_or_path = BASE
        model.save_pretrained(str(folder), save_embedding_layers=False)
        return
    adapters = bottleneck.adapters_of(model)
    states = {name: one.state_dict() for name, one in adapters.items()}
    tensors = {
        f"{name}.{key}": one.contiguous() for name, state in states.items() for key, one in state.items()
    }
    save_file(tensors, folder / SAFETENSORS_WEIGHTS_NAME)
    sizes = {name: one.down.out_features for name, one in adapters.items()}
    text = json.dumps({"peft_type": KIND, "base_model_name_or_path": BASE, "sizes": sizes}, indent=2)
    (folder / CONFIG_NAME).write_text(text + "\n", encoding="utf-8")


def gather_adapter(model: Any, parallel: Parallel) -> None:
    """Put whole tensors into the adapter of a model that lies in parts: it is small, the model is not touched.

    Every rank calls this, with an outline of its model.
    """
    prompts = isinstance(model, PeftModel)
    parts = model.prompt_encoder if prompts else nn.ModuleList(bottleneck.adapters_of(model).values())
    for part in parts.modules():  # hooks would look for shards
        part._forward_pre_hooks, part._forward_hooks = OrderedDict(), OrderedDict()  # noqa: SLF001
    for entry in parallel.entries(parts):
        owner, _, name = entry.name.rpartition(".")
        setattr(parts.get_submodule(owner), name, nn.Parameter(entry.fetch()))


def without_adapter(model: Any) -> Any:
    """The plain model over the same tensors; the given one stays as it is."""
    if isinstance(model, PeftModel):
        return model.get_base_model()
    plain = outline(model)
    bottleneck.remove(plain)
    return plain


def read_adapter(model: Any, folder: Path) -> Any:
    """Put what `write_adapter` wrote back on the plain model."""
    facts = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    if facts["peft_type"] != KIND:
        wrapped = PeftModel.from_pretrained(model, str(folder))
        return watch(wrapped.requires_grad_(True))  # the library freezes the model
    for name, size in facts["sizes"].items():
        bottleneck.insert(model.get_submodule(name), size)
    tensors = load_file(folder / SAFETENSORS_WEIGHTS_NAME)
    for name, one in bottleneck.adapters_of(model).items():
        one.load_state_dict({key: tensors[f"{name}.{key}"] for key in one.state_dict()})
    return model
