"""What makes the folder of a saved encoder a reader of a graph's questions: heads, embedding, graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.knowledge.triples import ENTITIES, RELATIONS, read_names, read_triples, write_triples
from llm_lab.models.folder import model_folder
from llm_lab.models.graph.reader import PARTS, Reader, assembled
from llm_lab.models.graph.reader_parts import embedding_of
from llm_lab.models.heads import Head
from llm_lab.models.pooled import without_pooler
from llm_lab.models.text import pretrained
from llm_lab.tasks.artifact import FACTS

READER, HEADS, ENCODER = "reader.json", "reader.safetensors", "encoder."


def write_reader(folder: Path, model: Reader, spec: DataSpec) -> None:
    """Write ``reader.json``, ``reader.safetensors`` and the graph beside an encoder that lies in ``folder``."""
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith(ENCODER)
    }
    save_file(tensors, folder / HEADS, metadata={"format": "pt"})
    write_triples(folder, read_triples(spec.folder))
    reads = next(name for name, parts in PARTS.items() if parts == model.reads)
    sizes = {name: spec.summary[name] for name in ("entities", "relations", "hops")}
    weights = dict(zip(model.reads, model.weights.tolist(), strict=True))
    config = {"reads": reads, "weights": weights, **sizes, "embedding": model.node}
    (folder / READER).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def spec_of_reader(folder: Path) -> DataSpec:
    """What a saved reader needs to know of its data."""
    config = json.loads((folder / READER).read_text(encoding="utf-8"))
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return DataSpec(
        problem="entities",
        labels=(),
        sizes={},
        tokenizer=folder,
        max_length=int(facts["max_length"]),
        fingerprint="",
        folder=folder,
        summary={name: config[name] for name in ("entities", "relations", "hops")},
    )


def saved_reader(
    *,
    spec: DataSpec,
    head: Head = Head.ENCODER,
    source: str,
    tokenizer: Mapping[str, Any] | None = None,
    licence: str = "",
    wrappers: Mapping[str, Any] | None = None,
) -> Reader:
    """A reader as a run saved it.

    Args:
        spec: of the data; their graph must have the model's entities and relations.
        head: what the task asks for: an encoder.
        source: URI or folder of a run or of its model.
        tokenizer: node of the tokenizer, for the data module.
        licence: of the weights.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: the data are about another graph.
    """
    del tokenizer, wrappers
    folder = model_folder(source, licence=licence)
    for file, what in ((ENTITIES, "entities"), (RELATIONS, "relations")):
        if read_names(folder / file) != read_names(spec.folder / file):
            raise ConfigError(f"{source} was trained on a graph of other {what} than these data have")
    config = json.loads((folder / READER).read_text(encoding="utf-8"))
    node = config["embedding"]
    encoder = without_pooler(pretrained(spec=spec, head=head, source=str(folder)))
    own = spec_of_reader(folder)
    found = assembled(
        own,
        encoder,
        reads=config["reads"],
        embedding=embedding_of(node, own) if node else None,
        dropout=0.0,
    )
    state = load_file(folder / HEADS)
    missing, unexpected = found.load_state_dict(state, strict=False)
    if lost := [*unexpected, *(name for name in missing if not name.startswith(ENCODER))]:
        raise ConfigError(f"{source}: {lost[0]} is not as the reader has it")
    return found
