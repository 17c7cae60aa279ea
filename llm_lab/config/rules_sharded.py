"""Rules across fields for models that lie in parts over the ranks; they import nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llm_lab.config.fault import Fault, short_path
from llm_lab.config.rules import Values, get, number, rule
from llm_lab.config.rules_strategy import AVERAGES, local_ranks

SHARDED = "llm_lab.strategies.sharded.Sharded"
ZERO = "llm_lab.strategies.zero.Zero"
PARTIAL = "llm_lab.peft.partial.Partial"  # freezes, and adds nothing
WHOLE_MATRICES = {
    ZERO: ("muon", "adafactor", "lbfgs"),  # DeepSpeed hands the optimizer flat pieces of many parameters
    SHARDED: ("adafactor", "lbfgs"),  # torch's do not work on DTensors
}
DIVIDED = (
    "num_attention_heads",
    "num_key_value_heads",
    "n_head",
    "num_heads",
    "intermediate_size",
    "n_inner",
)


def target(values: Values, group: str = "strategy") -> str:
    """What a group builds."""
    return str(get(values, f"{group}._target_") or "")


def tensor_ranks(values: Values) -> int:
    """Ranks that share out each layer; 0 where only the machine knows, 1 where none do."""
    if target(values) != SHARDED:
        return 1
    asked, data = number(values, "strategy.tensor_parallel"), number(values, "strategy.data_parallel")
    if "tensor_parallel" not in get(values, "strategy"):
        return 1
    ranks = local_ranks(values) * int(number(values, "trainer.num_nodes") or 1)
    return int(asked) if asked else ranks // max(1, int(data or 1))


@rule
def optimizer_of_parts(values: Values) -> Iterator[Fault]:
    """Optimizers that look at whole matrices cannot work on parts of them."""
    names = WHOLE_MATRICES.get(target(values), ())
    name = target(values, "optimizer").rpartition(".")[2]
    if name.lower() in names:
        yield Fault(
            key="optimizer",
            message=f"{name} looks at whole matrices, which {target(values).rpartition('.')[2]} cuts into pieces",
            suggestion="optimizer=adamw, or strategy=ddp",
        )


@rule
def averages_of_whole_models(values: Values) -> Iterator[Fault]:
    """Averages along the run are kept beside a model that is whole on every rank."""
    callbacks: Any = get(values, "callbacks")
    if target(values) not in (SHARDED, ZERO) or not isinstance(callbacks, Mapping):
        return
    for name, node in callbacks.items():
        if str(get(node, "_target_")).startswith(AVERAGES):
            yield Fault(
                key=f"callbacks.{name}",
                message="no average can be kept of a model that lies in parts over the ranks",
                suggestion=f"callbacks.{name}=null, or strategy=ddp",
            )


@rule
def mesh_makes_the_ranks(values: Values) -> Iterator[Fault]:
    """Data-parallel times tensor-parallel ranks are all ranks."""
    ranks = local_ranks(values) * int(number(values, "trainer.num_nodes") or 1)
    if target(values) != SHARDED or ranks < 2:  # noqa: PLR2004
        return
    data, tensor = number(values, "strategy.data_parallel"), tensor_ranks(values)
    fits = tensor * data == ranks if data else tensor > 0 and ranks % tensor == 0
    if not fits:
        yield Fault(
            key="strategy.tensor_parallel",
            message=f"data_parallel {'null' if data is None else f'{data:g}'} x tensor_parallel {tensor} does not "
            f"make the {ranks} ranks of trainer.devices and trainer.num_nodes",
            suggestion="null takes what the other leaves",
        )


@rule
def layers_can_be_cut(values: Values) -> Iterator[Fault]:
    """Heads and hidden units are shared out evenly over the tensor-parallel ranks."""
    ranks = tensor_ranks(values)
    if ranks < 2:  # noqa: PLR2004
        return
    pretrained = _pretrained_sizes(get(values, "model.source"))
    for field in DIVIDED:
        size, fixed = number(values, f"model.sizes.{field}"), number(pretrained, field)
        if size and size % ranks:
            yield Fault(
                key=f"model.sizes.{field}",
                message=f"{size:g} cannot be divided by {ranks} tensor-parallel ranks",
                suggestion=f"a multiple of {ranks}, or another strategy.tensor_parallel",
            )
        if fixed and fixed % ranks:
            yield Fault(
                key="model.source",
                message=f"its {field}, {fixed:g}, cannot be divided by {ranks} tensor-parallel ranks",
                suggestion="another strategy.tensor_parallel, or strategy=fsdp2",
            )


@rule
def little_that_is_cut(values: Values) -> Iterator[Fault]:
    """Tensor parallelism cuts the layers of the architecture, and knows of none beside them."""
    name = target(values, "peft")
    if name and name != PARTIAL and tensor_ranks(values) != 1:
        yield Fault(
            key="peft",
            message=f"{name.rpartition('.')[2]} adds to layers which tensor parallelism cuts into pieces",
            suggestion="strategy=fsdp2, or peft=bitfit",
        )


def _pretrained_sizes(source: Any) -> Values:
    """The sizes that come with weights which are on this machine; empty where they are not, or not yet."""
    if not isinstance(source, str):
        return {}
    from llm_lab.assets.present import present

    folder = present(source)
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@rule
def file_for_deepspeed(values: Values) -> Iterator[Fault]:
    """DeepSpeed's own configuration, given as a path, is there."""
    own = get(values, "strategy.config")
    if target(values) == ZERO and isinstance(own, str) and not Path(own).expanduser().is_file():
        yield Fault(
            key="strategy.config", message=f"there is no file {short_path(Path(own).expanduser().absolute())}"
        )


@rule
def zero_settings_agree(values: Values) -> Iterator[Fault]:
    """What DeepSpeed refuses later and in more words."""
    if target(values) != ZERO:
        return
    if get(values, "strategy.offload_parameters") is True and number(values, "strategy.stage") != 3:  # noqa: PLR2004
        yield Fault(
            key="strategy.offload_parameters",
            message="only stage 3 has parameters to move to the host",
            suggestion="strategy=deepspeed_zero3_offload",
        )
    if get(values, "strategy.cpu_adam") is True:
        name = target(values, "optimizer").rpartition(".")[2].lower()
        if name != "adamw":
            yield Fault(
                key="strategy.cpu_adam", message=f"DeepSpeed's AdamW takes the place of adamw, not {name}"
            )
        if get(values, "strategy.offload_optimizer") is not True:
            yield Fault(
                key="strategy.cpu_adam",
                message="DeepSpeed's AdamW for processors wants the optimizer's state there",
                suggestion="strategy=deepspeed_zero2_offload",
            )
    if get(values, "trainer.gradient_clip_algorithm") == "value":
        yield Fault(
            key="trainer.gradient_clip_algorithm",
            message="DeepSpeed clips by norm only",
            suggestion="trainer.gradient_clip_algorithm=norm",
        )
