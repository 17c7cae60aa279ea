"""A generator fills in hidden tokens, a discriminator says which ones are not the original."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError
from llm_lab.models.folder import model_folder
from llm_lab.models.heads import Head
from llm_lab.models.wrapper import Wrapper
from llm_lab.tasks.artifact import write_artifact
from llm_lab.tasks.masked_lm import MaskedLM, only
from llm_lab.tasks.noise import uniform
from llm_lab.tasks.task import Batch, Task

GENERATOR = "generator"  # its folder in the artifact
SAMPLE = 3  # stream of noise, behind those of masking


class Outputs(NamedTuple):
    """Logits of hidden tokens [N, V], of all tokens [B, T] and which were replaced, bool [B, T]."""

    generator: Tensor
    discriminator: Tensor
    replaced: Tensor


class Pair(nn.Module):
    """Generator and discriminator over one table of embeddings.

    Args:
        discriminator: the model that is wanted.
        generator: the one that fills in.
    """

    def __init__(self, discriminator: ElectraForPreTraining, generator: ElectraForMaskedLM) -> None:
        super().__init__()
        self.discriminator, self.config = discriminator, discriminator.config
        self.generator = generator
        own, shared = self.generator.electra.embeddings, discriminator.electra.embeddings
        own.word_embeddings = shared.word_embeddings
        own.position_embeddings = shared.position_embeddings
        self.generator.tie_weights()


def smaller(config: ElectraConfig, share: float) -> ElectraConfig:
    """The configuration of a generator: narrower, with heads as wide as before.

    Raises:
        ConfigError: the share leaves no whole number of heads.
    """
    heads = config.num_attention_heads * share
    if not 0 < share <= 1 or heads != int(heads):
        raise ConfigError(
            f"task.generator_size: {share} of {config.num_attention_heads} heads is no whole number; "
            f"take a multiple of 1/{config.num_attention_heads}"
        )
    fields = {
        "hidden_size": int(config.hidden_size * share),
        "intermediate_size": int(config.intermediate_size * share),
        "num_attention_heads": int(heads),
    }
    return ElectraConfig(**config.to_dict() | fields)


def saved(folder: str, config: ElectraConfig) -> ElectraForMaskedLM:
    """The generator of an artifact.

    Raises:
        ConfigError: it has another size than is wanted.
    """
    try:
        return ElectraForMaskedLM.from_pretrained(
            folder, config=config, dtype="float32", use_safetensors=True, local_files_only=True
        )
    except RuntimeError as error:
        raise ConfigError(f"task.generator_size: the generator in {folder} has another size") from error


class Paired(Wrapper):
    """Puts a generator beside the discriminator, and takes it away in the end.

    Args:
        generator_size: width of the generator, as a share of the discriminator's.
        folder: a saved generator to go on with; None for a new one.
    """

    writes_weights = False

    def __init__(self, *, generator_size: float, folder: str | None = None) -> None:
        self.generator_size, self.folder = generator_size, folder

    def __call__(self, module: nn.Module) -> nn.Module:
        """Pair them."""
        if not isinstance(module, ElectraForPreTraining):
            raise ConfigError(
                f"task: replaced_token trains ELECTRA, not a {type(module).__name__}; take model=electra"
            )
        config = smaller(module.config, self.generator_size)
        return Pair(module, ElectraForMaskedLM(config) if self.folder is None else saved(self.folder, config))

    def merge(self, module: nn.Module) -> nn.Module:
        """The discriminator."""
        return module.discriminator if isinstance(module, Pair) else module


class ReplacedToken(MaskedLM):
    """The generator's masked LM and, weighted, binary cross-entropy of the discriminator over all tokens.

    The discriminator is the artifact; the generator lies in its folder ``generator``, so that whoever tests the
    model again, or goes on with it, has both. Source: ELECTRA, https://arxiv.org/abs/2003.10555.

    Args:
        spec: see `MaskedLM`.
        model: see `MaskedLM`.
        optimizer: see `MaskedLM`.
        scheduler: see `MaskedLM`.
        regularizers: see `MaskedLM`.
        metrics: see `MaskedLM`.
        seed: see `MaskedLM`.
        rate: see `MaskedLM`; all hidden tokens are masked.
        whole_words: see `MaskedLM`.
        generator_size: width of the generator, as a share of the discriminator's.
        weight: of the discriminator's loss.
    """

    head = Head.PRETRAINING

    def __init__(
        self,
        *,
        spec: DataSpec,
        model: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        metrics: Mapping[str, Any],
        regularizers: Mapping[str, Any] | None = None,
        seed: int = 0,
        rate: float = 0.15,
        whole_words: bool = False,
        generator_size: float = 0.25,
        weight: float = 50.0,
    ) -> None:
        generator = {
            "_target_": f"{__name__}.{Paired.__name__}",
            "generator_size": generator_size,
            "folder": _generator_of(model),
            "order": -1,
        }
        super().__init__(
            spec=spec,
            model={**model, "wrappers": {**(model.get("wrappers") or {}), "generator": generator}},
            optimizer=optimizer,
            scheduler=scheduler,
            metrics=metrics,
            regularizers=regularizers,
            seed=seed,
            rate=rate,
            mask=1.0,
            random=0.0,
            whole_words=whole_words,
        )
        self.weight = weight

    def save_artifact(self, folder: Path) -> None:
        """The discriminator, and in its folder the generator, a masked LM."""
        super().save_artifact(folder)
        write_artifact(
            folder / GENERATOR,
            model=self.network(),
            wrappers=[one for one in self.wrappers if not isinstance(one, Paired)],
            spec=self.spec,
            task=MaskedLM.__name__,
            parallel=self.parallel,
            rank=self.global_rank,
            exported=lambda pair: cast("Pair", pair).generator,
        )

    def targeted(self, batch: Batch) -> Batch:
        """Hide tokens and keep the originals."""
        return super().targeted(batch) | {"original": batch["input_ids"]}

    def step_targets(self, batch: Batch) -> Tensor:
        """All tokens that could be hidden: the discriminator is asked about each."""
        return super().step_targets(batch) / self.rates.masked

    def forward(self, batch: Batch) -> Any:
        """Fill in by a draw from the generator, without a gradient, and let the discriminator judge."""
        pair: Any = self.network()
        inputs, hidden = self.inputs(batch), batch["hidden"]
        with only(pair.generator, hidden):
            logits = pair.generator(**inputs).logits.float()
        filled = batch["original"].masked_scatter(hidden, self._draw(logits.detach(), batch))
        judged = pair.discriminator(**inputs | {"input_ids": filled}).logits.float()
        return Outputs(logits, judged, filled != batch["original"])

    def _draw(self, logits: Tensor, batch: Batch) -> Tensor:
        """Tokens [N], one per row of logits [N, V], with the noise of their positions."""
        tokens = batch["original"]
        rows = F.pad(batch["index"], (0, len(tokens) - len(batch["index"])))
        noise = uniform(rows, tokens.shape[1], seed=self.seed, epoch=self.noise_epoch, stream=SAMPLE)
        steps = logits.double().softmax(dim=-1).cumsum(dim=-1)
        drawn = torch.searchsorted(steps, noise[batch["hidden"]][:, None] * steps[:, -1:], right=True)
        return drawn[:, 0].clamp(max=logits.shape[1] - 1)

    def counted(self, model: Any, inputs: Batch) -> Any:
        """The generator and the discriminator."""
        return [super().counted(model.generator, inputs), Task.counted(self, model.discriminator, inputs)]

    def losses(self, outputs: Any, batch: Batch) -> Tensor:
        """Of each ordinary token [M]: the discriminator's, and the generator's where it was hidden."""
        ordinary = self.vocabulary.ordinary[batch["original"]]
        judged = F.binary_cross_entropy_with_logits(
            outputs.discriminator, outputs.replaced.float(), reduction="none"
        )
        filled = super().losses(outputs.generator, batch) / self.rates.masked
        both = self.weight * judged + torch.zeros_like(judged).masked_scatter(batch["hidden"], filled)
        return both[ordinary]

    def measured(self, outputs: Any, batch: Batch, losses: Tensor) -> dict[str, Tensor]:
        """Those of the masked LM for the generator, and what was detected."""
        ordinary = self.vocabulary.ordinary[batch["original"]]
        return {
            "nats": super().losses(outputs.generator, batch),
            "logits": outputs.generator,
            "targets": batch["labels"],
            "detected": outputs.discriminator[ordinary],
            "replaced": outputs.replaced[ordinary],
        }


def _generator_of(model: Mapping[str, Any]) -> str | None:
    """The generator that lies beside the weights from which a model starts."""
    source = model.get("source") or model.get("init_from")
    folder = model_folder(source) / GENERATOR if source else None
    return str(folder) if folder and folder.is_dir() else None
