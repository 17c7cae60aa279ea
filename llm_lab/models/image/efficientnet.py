"""EfficientNet-Lite0 with the names of the weights that its ImageNet checkpoint has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows

from llm_lab.assets import resolve
from llm_lab.errors import AssetError, ConfigError
from llm_lab.models.tower import Tokens, Tower, all_tokens, node_of

STEM, HEAD, CLASSES = 32, 1280, 1000
BLOCKS = (  # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip


class EfficientNetLite0(Tower):
    """Tan and Le 2019 (https://arxiv.org/abs/1905.11946) without squeeze and swish; tokens are places of the last map.

    The published weights expect RGB pixels (x - 127) / 128 of 224 x 224 pictures: ``mean: 0.498, std: 0.502``.

    Args:
        column: of the data: 3 channels.
        source: URI of the state dict; None for random weights.
        licence: of the weights.
        freeze: whether its weights stay as they are.

    Raises:
        AssetError: the file is no state dict of this network.
    """

    width = HEAD

    def __init__(
        self, *, column: Mapping[str, Any], source: str | None = None, licence: str = "", freeze: bool = False
    ) -> None:
        super().__init__()
        if int(column["channels"]) != 3:  # noqa: PLR2004 - red, green, blue
            raise ConfigError(f"EfficientNet-Lite0 sees 3 channels, the data have {column['channels']}")
        self._conv_stem, self._bn0 = SameConv(3, STEM, 3, 2), norm(STEM)
        blocks, width = [], STEM
        for repeats, kernel, stride, expansion, channels in BLOCKS:
            for number in range(repeats):
                blocks.append(Block(width, channels, expansion, kernel, 1 if number else stride))
                width = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(width, HEAD, 1, bias=False), norm(HEAD)
        if source is not None:
            self._load(source, licence)
        self.freeze(frozen=freeze)

    def _load(self, source: str, licence: str) -> None:
        path = resolve(source, licence=licence)
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            self.load_state_dict(
                {name: value for name, value in found.items() if not name.startswith("_fc.")}
            )
        except (RuntimeError, AttributeError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise AssetError(f"source: {source} holds no weights of EfficientNet-Lite0: {reason}") from error

    def forward(self, values: Tensor, mask: Tensor | None = None) -> Tokens:
        """Tokens [B, H W / 1024, 1280] from pixels [B, 3, H, W]."""
        states = F.relu6(self._bn0(self._conv_stem(values)))
        for block in self._blocks:
            states = block(states)
        states = F.relu6(self._bn1(self._conv_head(states)))
        return all_tokens(states.flatten(2).transpose(1, 2))

    def saved(self) -> dict[str, Any]:
        """See `Tower.saved`."""
        return node_of(self, freeze=self.frozen)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: more behind than in front."""

    def __init__(self, inward: int, outward: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inward, outward, kernel, stride, groups=groups, bias=False)
        self.reach, self.step = kernel, stride

    def forward(self, values: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H / stride, W / stride], rounded up."""
        down, right = (
            max((-(-size // self.step) - 1) * self.step + self.reach - size, 0) for size in values.shape[-2:]
        )
        padded = F.pad(values, [right // 2, right - right // 2, down // 2, down - down // 2])
        return super().forward(padded)


class Block(nn.Module):
    """An inverted bottleneck: wider, filtered channel by channel, narrower."""

    def __init__(self, inward: int, outward: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        middle = inward * expansion
        self.expansion, self.skip = expansion, inward == outward and stride == 1
        if expansion > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(inward, middle, 1, bias=False), norm(middle)
        self._depthwise_conv, self._bn1 = (
            SameConv(middle, middle, kernel, stride, groups=middle),
            norm(middle),
        )
        self._project_conv, self._bn2 = nn.Conv2d(middle, outward, 1, bias=False), norm(outward)

    def forward(self, values: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H / stride, W / stride]."""
        states = F.relu6(self._bn0(self._expand_conv(values))) if self.expansion > 1 else values
        states = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(states)))))
        return values + states if self.skip else states


def norm(channels: int) -> nn.BatchNorm2d:
    """With the epsilon of the published weights."""
    return nn.BatchNorm2d(channels, eps=1e-3)
