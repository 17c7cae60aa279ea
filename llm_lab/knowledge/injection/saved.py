"""Put back into a saved model what injection had put into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm_lab.knowledge.injection import embeddings, visibility
from llm_lab.knowledge.injection.inside import saved_settings, saved_tensors


def reinstall(model: Any, folder: Path) -> Any:
    """The model of a folder with its parts and what they learned."""
    for name, settings in dict(saved_settings(model)).items():
        if name == visibility.Branches.name:
            visibility.put(model)
        elif name == embeddings.Entities.name:
            part = embeddings.put(model, **settings)
            part.load_state_dict(saved_tensors(folder, name))
    return model
