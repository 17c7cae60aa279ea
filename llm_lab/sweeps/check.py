"""What can be wrong with a sweep itself, told before its first job starts; imports no Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from llm_lab.config.fault import Fault
from llm_lab.config.nearest import did_you_mean
from llm_lab.config.signature import signature_of
from llm_lab.sweeps.launchers import missing
from llm_lab.sweeps.objectives import NODE, objective_faults
from llm_lab.sweeps.space import Axis, axis_of

GRID = "hydra_plugins.llm_lab.grid_sweeper.GridSweeper"
OPTUNA = "hydra_plugins.llm_lab.optuna_sweeper.OptunaSweeper"
LEAST = {"n_trials": 1, "n_jobs": 1, "startup": 0, "reduction": 2, "max_batch_size": 1}


def sweep_faults(config: DictConfig, swept: Sequence[Override]) -> Iterator[Fault]:
    """Give what is wrong with the sweeper's and the launcher's node, and with the search space.

    Args:
        config: of any job, with Hydra's node.
        swept: the words that stand for several values.
    """
    yield from _launcher(config)
    node = _plain(config, NODE)
    target = str(node.get("_target_"))
    if target not in (GRID, OPTUNA):
        return
    wrong = list(_typed(node, target))
    yield from wrong
    if wrong:
        return
    yield from objective_faults(config, node)
    axes = [axis_of(item) for item in swept]
    yield from _space(node, axes, searches=target == OPTUNA)
    if target == OPTUNA:
        yield from _search(node, axes)


def _launcher(config: DictConfig) -> Iterator[Fault]:
    target = str(_plain(config, "hydra.launcher").get("_target_"))
    if lack := missing(target):
        choice = OmegaConf.select(config, "hydra.runtime.choices.hydra/launcher") or target
        yield Fault(key=f"hydra/launcher={choice}", message=lack)


def _typed(node: Mapping[str, Any], target: str) -> Iterator[Fault]:
    """Unknown keys, wrong types, numbers that are too small."""
    signature = signature_of(target)
    parameters = signature.parameters if signature is not None else {}
    for name, value in node.items():
        key = f"{NODE}.{name}"
        if name == "_target_":
            continue
        if name not in parameters:
            yield Fault(key=key, message="unknown key", suggestion=did_you_mean(name, parameters))
            continue
        kind = parameters[name].type
        legal = [str(item) for item in kind.literals()]
        for place, message in kind.faults(value, key):
            yield Fault(
                key=place, message=message, suggestion=did_you_mean(str(value), legal) if legal else ""
            )
        if isinstance(value, int) and value < LEAST.get(name, value):
            yield Fault(key=key, message=f"must be {LEAST[name]} or more, but is {value}")
    part = node.get("prune_from")
    if isinstance(part, int | float) and not 0 <= part <= 1:
        yield Fault(key=f"{NODE}.prune_from", message=f"is a part of the run, from 0 to 1, but is {part:g}")


def _space(node: Mapping[str, Any], axes: Sequence[Axis], *, searches: bool) -> Iterator[Fault]:
    """What a grid cannot count, and seeds that are there twice."""
    if not searches or node.get("sampler") == "grid":
        for axis in axes:
            if not axis.texts:
                hint = "list the values, key=a,b,c"
                hint += "" if searches else ", or search it: hydra/sweeper=optuna"
                yield Fault(key=axis.name, message="a grid cannot go through an interval", suggestion=hint)
    if node.get("seeds") and any(axis.name == "seed" for axis in axes):
        yield Fault(key="seed", message=f"is swept over, and {NODE}.seeds is set too")


def _search(node: Mapping[str, Any], axes: Sequence[Axis]) -> Iterator[Fault]:
    if not axes:
        hint = "optimizer.lr='tag(log, interval(1e-5, 1e-3))'"
        yield Fault(key=f"{NODE}.params", message="there is nothing to search", suggestion=f"say: {hint}")
    for axis in axes:
        if not axis.texts and (axis.low > axis.high or (axis.log and axis.low <= 0)):
            what = "has no logarithm" if axis.log and axis.low <= 0 else "ends before it begins"
            yield Fault(key=axis.name, message=f"interval({axis.low:g}, {axis.high:g}) {what}")
    if node.get("sampler") == "cma_es" and sum(axis.numeric for axis in axes) < 2:  # noqa: PLR2004
        hint = "`tpe` takes any space"
        yield Fault(key=f"{NODE}.sampler", message="cma_es needs two intervals or more", suggestion=hint)
    objectives = node.get("objective")
    several = isinstance(objectives, list) and len(objectives) > 1
    if several and node.get("sampler") == "cma_es":
        yield Fault(
            key=f"{NODE}.sampler", message="cma_es has one objective only", suggestion="`tpe` takes several"
        )
    if several and node.get("pruner") != "none":
        message = "trials with several objectives cannot be ended early"
        yield Fault(key=f"{NODE}.pruner", message=message, suggestion="write `none`")
    if node.get("n_trials") is None and node.get("sampler") != "grid":
        yield Fault(
            key=f"{NODE}.n_trials", message="only a grid ends by itself", suggestion="say how many trials"
        )


def _plain(config: DictConfig, key: str) -> dict[str, Any]:
    node: Any = OmegaConf.select(config, key)
    plain: Any = {} if node is None else OmegaConf.to_container(node, resolve=True)
    return dict(plain)
