"""DeepSpeed's ZeRO, on CUDA and on processors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

from torch import nn

from llm_lab.strategies.parallel import Parallel
from llm_lab.strategies.stream import Entry
from llm_lab.strategies.zero_config import settings
from llm_lab.strategies.zero_engine import ZeroEngine
from llm_lab.strategies.zero_library import announce_builds, require

log = logging.getLogger(__name__)


class Zero(Parallel):
    """ZeRO (Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054): nobody holds what another rank holds.

    Stage 1 shares out the optimizer's state, 2 the gradients as well, 3 the parameters too. Under a 16-bit
    ``trainer.precision`` the model computes in that type and the optimizer keeps single precision, which is
    also what checkpoints and the artifact hold. Each rank makes or loads the whole model before it is shared out.

    Args:
        stage: 1, 2 or 3.
        offload_optimizer: keep the optimizer's state in the host's memory (ZeRO-Offload, Ren et al. 2021,
            https://arxiv.org/abs/2101.06840).
        offload_parameters: keep stage 3's parameters there as well.
        cpu_adam: with ``offload_optimizer`` DeepSpeed's AdamW for processors instead of torch's: it is compiled
            once per machine, which takes about three minutes and wants a C++ compiler.
        config: DeepSpeed's own configuration over all this, a mapping or the path of a JSON file
            (https://www.deepspeed.ai/docs/config-json); what ``trainer``, ``optimizer`` and ``data`` decide is
            left out of it with a warning.
        activation_checkpointing: see `Parallel`.

    Raises:
        RunError: DeepSpeed is missing or unusable.
        ConfigError: no such file, or no JSON in it.
    """

    def __init__(
        self,
        *,
        stage: Literal[1, 2, 3] = 2,
        offload_optimizer: bool = False,
        offload_parameters: bool = False,
        cpu_adam: bool = False,
        config: str | Mapping[str, Any] | None = None,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(activation_checkpointing=activation_checkpointing)
        self.cpu_adam = cpu_adam
        self.settings = settings(
            stage=stage,
            offload_optimizer=offload_optimizer,
            offload_parameters=offload_parameters,
            cpu_adam=cpu_adam,
            own=config,
        )
        self._engine: ZeroEngine | None = None

    def engine(self) -> ZeroEngine:
        """Lightning's engine for DeepSpeed, which also runs on a processor here."""
        require()
        if self.cpu_adam:
            announce_builds()
        self._engine = ZeroEngine(settings=self.settings, cpu_adam=self.cpu_adam)
        return self._engine

    @property
    def shards(self) -> bool:
        """Always: single precision is in parts even where the model is not."""
        return True

    def entries(self, model: nn.Module) -> list[Entry]:
        """Single-precision weights, gathered from the ranks that own them."""
        return [] if self._engine is None else self._engine.entries(model)
