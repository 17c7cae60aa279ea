"""A classifier out of a shared space and a few words: its weights are the vectors of prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from llm_lab.data.source import nearest
from llm_lab.data.spec import MASK, DataSpec
from llm_lab.errors import ConfigError, RunError
from llm_lab.models.folder import model_folder
from llm_lab.models.fusion.fusion import Fusion
from llm_lab.models.fusion.model import labelling, warn_of_changes
from llm_lab.models.fusion.saved import FusionConfig, FusionForSequenceClassification, FusionModel
from llm_lab.models.heads import Head
from llm_lab.models.tower import Tokens


class Directions(Fusion):
    """The mean of the inputs' directions in the space that they share.

    Args:
        names: of the inputs.
        width: of their tokens, and of the space.
    """

    def __init__(self, *, names: Sequence[str], width: int) -> None:
        super().__init__()
        self.width = width
        self.heads = nn.ModuleDict({name: nn.Linear(width, width, bias=False) for name in names})

    def forward(self, tokens: Mapping[str, Tokens]) -> Tensor:
        """See `Fusion`."""
        vectors = [
            nn.functional.normalize(head(tokens[name].pooled()), dim=-1) for name, head in self.heads.items()
        ]
        return torch.stack(vectors).mean(dim=0)


def zero_shot(
    *,
    spec: DataSpec,
    head: Head = Head.SEQUENCE_CLASSIFICATION,
    source: str,
    prompts: Mapping[str, str | Sequence[str]] | None = None,
    templates: Sequence[str] = ("{}",),
    scale: float = 20.0,
    wrappers: Mapping[str, Any] | None = None,
) -> FusionForSequenceClassification:
    """Towers that a run of ``task=cross_modal`` trained, and a linear layer whose weights are its vectors of prompts.

    A class is the mean of the directions of its prompts in all templates (Radford et al. 2021,
    https://arxiv.org/abs/2103.00020, section 3.1). It classifies without training, and may be trained further.

    Args:
        spec: of the data; each of its inputs must be one of the trained model.
        head: must be that of a classifier.
        source: URI or folder of the run or of its model, one of whose inputs is a text.
        prompts: label -> what it is called, or several such; a label that is left out is called by its own name.
        templates: texts that have a prompt in the place of ``{}``.
        scale: of the similarities, which makes probabilities of them.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: no single labels, a prompt for a label that there is not, or a template without ``{}``.
        RunError: the trained model has no input of that name, or none or several texts.
    """
    del wrappers
    if head is not Head.SEQUENCE_CLASSIFICATION or spec.problem != "single_label":
        raise ConfigError("model: prompts tell one label of several; take `data.problem=single_label`")
    folder = model_folder(source)
    space = FusionModel.from_pretrained(folder).eval()
    told = [_prompts(label, prompts or {}, templates) for label in spec.labels]
    for label in prompts or {}:
        if label not in spec.labels:
            raise ConfigError(f"model.prompts: there is no label `{label}`{nearest(label, spec.labels)}")
    model = _classifier(space, spec, source)
    weights = torch.stack([_direction(space, folder, texts) for texts in told])
    with torch.no_grad():
        model.classifier.weight.copy_(weights * scale * space.logit_scale.exp())
        model.classifier.bias.zero_()
    return model.train()


def _prompts(label: str, prompts: Mapping[str, str | Sequence[str]], templates: Sequence[str]) -> list[str]:
    names = prompts.get(label) or label
    if wrong := [template for template in templates if "{}" not in template]:
        raise ConfigError(f"model.templates: `{wrong[0]}` has no `{{}}`, in whose place a prompt stands")
    return [
        template.replace("{}", name)
        for name in ([names] if isinstance(names, str) else names)
        for template in templates
    ]


def _classifier(space: FusionModel, spec: DataSpec, source: str) -> FusionForSequenceClassification:
    """The towers of the data's inputs with their ways into the space."""
    for name in spec.inputs:
        if name not in space.config.inputs:
            raise RunError(f"{source}: has no input `{name}`{nearest(name, [*space.config.inputs])}")
    warn_of_changes(space.config, spec, source)
    config = FusionConfig(
        inputs={name: dict(facts) for name, facts in spec.inputs.items()},
        towers={name: space.config.towers[name] for name in spec.inputs},
        fusion={"_target_": f"{Directions.__module__}.{Directions.__name__}"},
        width=space.config.width,
        dropout=0.0,
        **labelling(spec),
    )
    model = FusionForSequenceClassification(config)
    trained = {_renamed(name): value for name, value in space.state_dict().items()}
    wanted = model.state_dict()
    model.load_state_dict({name: value for name, value in trained.items() if name in wanted}, strict=False)
    return model


def _renamed(name: str) -> str:
    """The way of an input into the space is part of fusion here, without its dropout."""
    return f"fusion.{name.replace('.1.weight', '.weight')}" if name.startswith("heads.") else name


@torch.inference_mode()
def _direction(space: FusionModel, folder: Path, texts: list[str]) -> Tensor:
    """The unit vector [D] of a class."""
    from transformers import AutoTokenizer

    names = [name for name, facts in space.config.inputs.items() if facts["kind"] == "text"]
    if len(names) != 1:
        raise RunError(f"{folder}: prompts want a model with one text, it has {', '.join(names) or 'none'}")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    inputs = {names[0]: tokens["input_ids"], f"{names[0]}{MASK}": tokens["attention_mask"]}
    vectors = space(**inputs).last_hidden_state[:, 0]
    return nn.functional.normalize(vectors.mean(dim=0), dim=-1)
