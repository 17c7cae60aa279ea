"""The speaker encoder that the package Resemblyzer ships: whose voice it is, in 256 numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from llm_lab.assets import resolve
from llm_lab.errors import AssetError, ConfigError
from llm_lab.models.tower import Tokens, Tower, all_tokens, node_of

MELS, WIDTH, LAYERS = 40, 256, 3


class Speaker(Tower):
    """Three LSTM layers over a mel spectrogram, the last state as one token (Wan et al. 2018, https://arxiv.org/abs/1710.10467).

    The shipped weights expect ``features: mel, rate: 16000, mels: 40`` in data.columns.

    Args:
        column: of the data.
        source: URI of the checkpoint; None for random weights.
        licence: of the weights.
        freeze: whether its weights stay as they are.

    Raises:
        ConfigError: data of another kind.
        AssetError: the file is no checkpoint of this network.
    """

    width = WIDTH

    def __init__(
        self, *, column: Mapping[str, Any], source: str | None = None, licence: str = "", freeze: bool = False
    ) -> None:
        super().__init__()
        if int(column["mels"]) != MELS or column["features"] != "mel":
            told = f"{column['features']} of {column['mels']} bands"
            raise ConfigError(
                f"the speaker encoder hears `features: mel, mels: {MELS}`, the data give {told}"
            )
        self.lstm = nn.LSTM(MELS, WIDTH, LAYERS, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)
        if source is not None:
            self._load(source, licence)
        self.freeze(frozen=freeze)

    def _load(self, source: str, licence: str) -> None:
        path = resolve(source, licence=licence)
        names = list(self.state_dict())
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
            self.load_state_dict({name: found[name] for name in names})
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise AssetError(f"source: {source} holds no weights of the speaker encoder: {reason}") from error

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """One token [B, 1, 256] of length one, from frames [B, T, 40] with their mask."""
        states, _ = self.lstm(values)
        last = values.new_full((len(values),), values.shape[1]).long() if mask is None else mask.sum(dim=1)
        ends = states[torch.arange(len(states), device=states.device), last.clamp(min=1) - 1]
        voice = nn.functional.normalize(nn.functional.relu(self.linear(ends)), dim=-1)
        return all_tokens(voice.unsqueeze(1))

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, freeze=self.frozen)
