"""Whisper whole, encoder and decoder: it writes what one sound says. Importing this registers it with transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSpeechSeq2Seq,
    AutoTokenizer,
    GenerationConfig,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
)
from transformers.modeling_outputs import CausalLMOutput

from llm_lab.data.spec import MASK, DataSpec
from llm_lab.errors import AssetError, ConfigError
from llm_lab.models.audio.spectrogram import WHISPER, filled
from llm_lab.models.folder import model_folder
from llm_lab.models.fusion.model import vocabulary_of
from llm_lab.models.heads import Head


class WholeConfig(PreTrainedConfig):
    """What a saved model has to know.

    Attributes:
        inputs: facts of the sound, by the name of its input.
        whisper: configuration of Whisper.
        start: numbers of the tokens before each text: its start, language, task.
        vocabulary: see `llm_lab.models.fusion.saved.FusionConfig`.
        decoder: ``beams``, see `llm_lab.tasks.transcription.Transcription`.
    """

    model_type = "llm_lab_whisper"

    def __init__(
        self,
        *,
        inputs: dict[str, Any] | None = None,
        whisper: dict[str, Any] | None = None,
        start: list[int] | None = None,
        vocabulary: dict[str, int] | None = None,
        decoder: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.inputs, self.whisper, self.start = inputs or {}, whisper or {}, start or []
        self.vocabulary, self.decoder = vocabulary or {}, decoder or {}
        super().__init__(**kwargs)


class WhisperForSpeechSeq2Seq(PreTrainedModel):
    """Whisper (Radford et al. 2022, https://arxiv.org/abs/2212.04356) between the inputs of the data and a text."""

    config_class = WholeConfig
    main_input_name = "inputs"

    def __init__(self, config: WholeConfig) -> None:
        super().__init__(config)
        self.whisper = WhisperForConditionalGeneration(WhisperConfig(**config.whisper))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Whisper's own constructor has done it."""

    def forward(self, decoder_input_ids: Tensor, **inputs: Tensor) -> CausalLMOutput:
        """Logits [B, U, V] of the token behind each of ``decoder_input_ids`` [B, U], the first the end's."""
        start = self._start(len(decoder_input_ids))
        tokens = torch.cat([start, decoder_input_ids[:, 1:]], dim=1)
        found = self.whisper(input_features=self._heard(inputs), decoder_input_ids=tokens, use_cache=False)
        return CausalLMOutput(logits=found.logits[:, start.shape[1] - 1 :])

    @torch.no_grad()
    def generate(self, *, num_beams: int = 1, in_step: bool = False, **inputs: Tensor) -> Tensor:
        """Tokens [B, U] of the likeliest texts, see `llm_lab.models.fusion.captioner.FusionForCausalLM.generate`."""
        heard = self._heard(inputs)
        start, told = self._start(len(heard)), self.config.vocabulary
        room = int(self.whisper.config.max_target_positions) - start.shape[1]
        found: Tensor = GenerationMixin.generate(  # Whisper's own is for recordings of hours, and learned prompts
            self.whisper,
            input_features=heard,
            decoder_input_ids=start,
            generation_config=GenerationConfig(
                max_new_tokens=min(int(told["longest"]), room), num_beams=num_beams, do_sample=False,
                decoder_start_token_id=int(start[0, 0]), eos_token_id=int(told["end"]), pad_token_id=int(told["none"]),
            ),
            synced_gpus=in_step,
        )  # fmt: skip
        return found[:, start.shape[1] :]

    def _start(self, rows: int) -> Tensor:
        return torch.tensor([self.config.start], device=self.device).expand(rows, -1)

    def _heard(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Frames [B, mels, T] of as many seconds as Whisper was made for."""
        (name,) = self.config.inputs
        frames = 2 * int(self.whisper.config.max_source_positions)
        return filled(inputs[name], inputs.get(f"{name}{MASK}"), frames)[0].transpose(1, 2)


def whisper(
    *,
    spec: DataSpec,
    head: Head = Head.SPEECH_TO_TEXT,
    source: str,
    licence: str = "",
    prompt: Sequence[str] = (),
    tokenizer: Mapping[str, Any] | None = None,
    wrappers: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Whisper with its weights, or as a run saved it.

    Args:
        spec: of the data, whose tokenizer is the model's own.
        head: what the task needs.
        source: URI or folder.
        licence: of the weights.
        prompt: tokens between the start and each text: language, task, no times.
        tokenizer: node of its tokenizer, for the data module.
        wrappers: model wrappers by name, for the task.

    Raises:
        ConfigError: another task, data of other inputs, or a tokenizer that is not the model's.
        AssetError: the source is no Whisper.
    """
    del tokenizer, wrappers
    if head is not Head.SPEECH_TO_TEXT:
        raise ConfigError("model: Whisper writes what a sound says: take `task=speech_to_text`")
    folder = model_folder(source, licence=licence)
    kind = AutoConfig.from_pretrained(folder, trust_remote_code=False).model_type
    if kind == WholeConfig.model_type:
        made: nn.Module = WhisperForSpeechSeq2Seq.from_pretrained(folder)
        return made.train()
    if kind != WHISPER:
        raise AssetError(f"model.source: {source} is a {kind}, and no {WHISPER}")
    loaded = WhisperForConditionalGeneration.from_pretrained(folder, use_safetensors=True, dtype="float32")
    _check(spec, loaded.config)
    config = WholeConfig(
        inputs={name: dict(facts) for name, facts in spec.inputs.items()},
        whisper=loaded.config.to_dict(),
        start=[int(loaded.config.decoder_start_token_id), *_numbers(prompt, spec)],
        vocabulary=vocabulary_of(spec),
    )
    model = WhisperForSpeechSeq2Seq(config)
    model.whisper = loaded
    return model.train()


def _check(spec: DataSpec, config: WhisperConfig) -> None:
    """Refuse data that Whisper does not read."""
    wanted = {"kind": "audio", "features": "whisper", "mels": config.num_mel_bins}
    told = list(spec.inputs.values())
    if len(told) != 1 or any(told[0].get(name) != value for name, value in wanted.items()):
        raise ConfigError(
            "model: Whisper hears one sound; it wants a single input of `kind: audio, features: whisper, rate: 16000, "
            f"mels: {config.num_mel_bins}`"
        )
    if vocabulary_of(spec)["size"] > config.vocab_size:
        raise ConfigError("data.tokenizer: Whisper writes with its own: `${model.tokenizer}`")


def _numbers(prompt: Sequence[str], spec: DataSpec) -> list[int]:
    known = AutoTokenizer.from_pretrained(spec.tokenizer, trust_remote_code=False).get_vocab()
    for token in prompt:
        if token not in known:
            raise ConfigError(f"model.prompt: the model's tokenizer has no token `{token}`")
    return [int(known[token]) for token in prompt]


AutoConfig.register(WholeConfig.model_type, WholeConfig, exist_ok=True)
AutoModelForSpeechSeq2Seq.register(WholeConfig, WhisperForSpeechSeq2Seq, exist_ok=True)
