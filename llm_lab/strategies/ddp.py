"""Data parallelism: every rank holds the model, gradients are averaged at every step."""

from __future__ import annotations

from typing import Any, Literal

from llm_lab.errors import ConfigError
from llm_lab.strategies.hooks import Bf16, Exact, Hook
from llm_lab.strategies.parallel import Parallel
from llm_lab.strategies.power_sgd import PowerSGDHook
from llm_lab.strategies.replicas import Replicas
from llm_lab.strategies.traffic import Traffic


class DDP(Parallel):
    """torch's DistributedDataParallel (Li et al. 2020, https://arxiv.org/abs/2006.15704).

    Args:
        compress: ``bf16`` halves the bytes on the wire and rounds the gradients; None sends them as they are.
        static_graph: every step uses the same parameters; lets DDP plan once.
        find_unused_parameters: look at each step which parameters got no gradient; costs a walk over the graph.
        bucket_cap_mb: gradients are sent in buckets of about so many MiB while the backward pass goes on.
        gradient_as_bucket_view: gradients live in the buckets, which saves a copy of them.
        activation_checkpointing: see `llm_lab.strategies.checkpointing`.
    """

    def __init__(
        self,
        *,
        compress: Literal["bf16"] | None = None,
        static_graph: bool = False,
        find_unused_parameters: bool = False,
        bucket_cap_mb: float = 25,
        gradient_as_bucket_view: bool = True,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(activation_checkpointing=activation_checkpointing)
        self.compress = compress
        self.settings: dict[str, Any] = {
            "static_graph": static_graph,
            "find_unused_parameters": find_unused_parameters,
            "bucket_cap_mb": bucket_cap_mb,
            "gradient_as_bucket_view": gradient_as_bucket_view,
        }
        self.traffic = Traffic()

    def hook(self) -> Hook:
        """What is done with a bucket of gradients."""
        return Bf16(traffic=self.traffic) if self.compress == "bf16" else Exact(traffic=self.traffic)

    def engine(self) -> Replicas:
        """Lightning's DDP with the hook."""
        return HookedDDP(hook=self.hook(), traffic=self.traffic, **self.settings)

    def facts(self) -> dict[str, Any]:
        """Bytes that each rank sent per step."""
        return self.traffic.facts()


class PowerSGD(DDP):
    """DDP with gradients of low rank on the wire, see `llm_lab.strategies.power_sgd`.

    Args:
        rank: of the approximation; 1 to 4 is usual, up to 32 for language models (appendix D of the paper).
        start: first compressed step, below 1 as a share of the run; early gradients bear compression badly.
        error_feedback: carry what a step lost over to the next; without it training may not converge.
        least_rate: a matrix is compressed where that makes it smaller by this factor at least.
        static_graph: as for `DDP`.
        bucket_cap_mb: as for `DDP`.
        gradient_as_bucket_view: as for `DDP`.
        activation_checkpointing: as for `DDP`.
    """

    def __init__(
        self,
        *,
        rank: int = 4,
        start: float = 0.1,
        error_feedback: bool = True,
        least_rate: float = 2.0,
        static_graph: bool = False,
        bucket_cap_mb: float = 25,
        gradient_as_bucket_view: bool = True,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__(
            static_graph=static_graph,
            bucket_cap_mb=bucket_cap_mb,
            gradient_as_bucket_view=gradient_as_bucket_view,
            activation_checkpointing=activation_checkpointing,
        )
        if rank < 1 or start < 0:
            raise ConfigError(
                f"strategy: rank must be at least 1 and start not negative, found {rank} and {start}"
            )
        self.choices: dict[str, Any] = {
            "rank": rank,
            "start": start,
            "error_feedback": error_feedback,
            "least_rate": least_rate,
        }

    def hook(self) -> Hook:
        """What is done with a bucket of gradients."""
        return PowerSGDHook(traffic=self.traffic, **self.choices)


class HookedDDP(Replicas):
    """DDP with one of our hooks on every device; Lightning registers hooks on CUDA alone."""

    def __init__(self, *, hook: Hook, traffic: Traffic, **settings: Any) -> None:
        super().__init__(traffic=traffic, **settings)
        self.hook = hook
        self.rank_state = hook.state  # type: ignore[method-assign]
        self.load_rank_state = hook.restore  # type: ignore[method-assign]

    def _register_ddp_hooks(self) -> None:
        self.hook.attach(self.model)  # type: ignore[arg-type] # wrapped just before

    def on_train_start(self) -> None:
        """Tell the hook how long the run is."""
        self.hook.begin(int(self.lightning_module.trainer.estimated_stepping_batches))  # type: ignore[union-attr]
