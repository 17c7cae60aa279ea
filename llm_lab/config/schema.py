"""What may stand at the root of a config, what each group builds, and which keys are legal where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.signature import Signature, signature_of
from llm_lab.config.types import ANY, Type

CONTROL = ("_target_",)  # what a node may hold beside the arguments of its target
ORDER = Type(kind="int")


@dataclass(frozen=True, kw_only=True)
class Group:
    """What a root key holds: a node built as `base`, plain values, or a mapping from names to such."""

    base: str = (
        ""  # the dotted name of the class that a built node must be an instance of; empty for free values
    )
    injected: tuple[str, ...] = ()  # arguments that our code gives, so that YAML must not
    mapping: bool = False  # a mapping from a name to a node, each with an optional `order`
    plain: str = ""  # the dotted name of the dataclass that describes plain values
    inner: Mapping[str, tuple[str, ...]] | None = None  # nodes inside, by key: what is injected into them


TOWER = ("column", "spec")

GROUPS: dict[str, Group] = {
    "data": Group(base="llm_lab.data.module.DataModule"),
    "model": Group(
        base="torch.nn.Module", injected=("spec", "head"), inner={
            "wrappers": ("module", "model", "spec"), "text": TOWER, "image": TOWER, "audio": TOWER, "towers": TOWER,
            "fusion": ("names", "width"), "language": ("spec", "head"),
        },
    ),
    "task": Group(
        base="llm_lab.tasks.task.Task",
        injected=("spec", "model", "optimizer", "scheduler"),
        inner={"metrics": ("num_classes", "num_labels", "task"), "regularizers": ()},
    ),
    "baseline": Group(base="llm_lab.baselines.baseline.Baseline", mapping=True, injected=("data", "spec")),
    "peft": Group(base="llm_lab.models.wrapper.Wrapper"),
    "optimizer": Group(base="torch.optim.Optimizer", injected=("model", "params")),
    "scheduler": Group(base="torch.optim.lr_scheduler.LRScheduler", injected=("optimizer", "total_steps")),
    "trainer": Group(
        base="pytorch_lightning.Trainer",
        injected=(
            "strategy", "callbacks", "logger", "plugins", "default_root_dir", "use_distributed_sampler",
            "enable_checkpointing",
        ),
    ),
    "strategy": Group(base="llm_lab.strategies.parallel.Parallel"),
    "callbacks": Group(base="pytorch_lightning.Callback", mapping=True),
    "logger": Group(base="pytorch_lightning.loggers.Logger", mapping=True),
    "knowledge": Group(plain="llm_lab.knowledge.choice.Choice"),
    "pipeline": Group(mapping=True, plain="llm_lab.pipelines.steps.Step"),
    "ledger": Group(plain="llm_lab.tracking.ledger.Ledger"),
    "launch": Group(plain="llm_lab.launch.options.Launch"),
    "sweep": Group(plain="llm_lab.sweeps.options.Options"),
    "mode": Group(plain=f"{__name__}.Mode"),
    "paths": Group(plain=f"{__name__}.Paths"),
    "expected": Group(plain=f"{__name__}.Expected"),
}  # fmt: skip


@dataclass(kw_only=True)
class Root:
    """The keys at the root of a composed config; `hydra` stands beside them."""

    name: str
    seed: int
    data: Mapping[str, Any]
    model: Mapping[str, Any]
    task: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    trainer: Mapping[str, Any]
    mode: Mapping[str, Any]
    paths: Mapping[str, Any]
    baseline: Mapping[str, Any] | None = None
    peft: Mapping[str, Any] | None = None
    scheduler: Mapping[str, Any] | None = None
    strategy: Mapping[str, Any] | None = None
    callbacks: Mapping[str, Any] | None = None
    logger: Mapping[str, Any] | None = None
    knowledge: Mapping[str, Any] | None = None
    pipeline: Mapping[str, Any] | None = None
    launch: Mapping[str, Any] | None = None
    sweep: Mapping[str, Any] | None = None
    ledger: Mapping[str, Any] | None = None
    expected: Mapping[str, Any] | None = None


@dataclass(kw_only=True)
class Mode:
    """What a training run does after the fit."""

    test: bool = True
    baseline: bool = True
    report: bool = True


@dataclass(kw_only=True)
class Paths:
    """Where runs are kept, and the directory of this one."""

    runs: str
    run: str | None = None


@dataclass(kw_only=True)
class Expected:
    """The figure an experiment is expected to reach, in how many minutes, and who says so."""

    metric: str
    value: float
    tolerance: float
    seeds: int = 1
    minutes: float | None = None
    source: str | None = None
    published: Mapping[str, Any] | float | None = (
        None  # {value, source}: what others reached, and where they say so
    )


ROOT = f"{__name__}.Root"


def signature_at(node: Mapping[str, Any], key: str) -> Signature | None:
    """The signature that rules a mapping: of its `_target_`, or of the dataclass of its root key."""
    target = node.get("_target_") if "_target_" in node else None
    if isinstance(target, str) and "${" not in target:
        return signature_of(target)
    if not key:
        return signature_of(ROOT)
    head, _, name = key.partition(".")
    group = GROUPS.get(head)
    if group is None or not group.plain or group.mapping != bool(name) or "." in name:
        return None
    return signature_of(group.plain)


def injected_at(key: str) -> tuple[str, ...]:
    """The arguments that our code gives to the node at `key`."""
    head, *rest = key.split(".")
    group = GROUPS.get(head)
    if group is None:
        return ()
    if not rest or (group.mapping and len(rest) == 1):
        return group.injected
    return (group.inner or {}).get(rest[0], ())


def is_legal(config: DictConfig, key: str) -> bool:
    """Whether a key that no file mentions may be set: the signature above it takes it."""
    parent, rest = deepest(config, key)
    for holder, names in _holders(parent, rest):
        node = OmegaConf.select(config, holder, throw_on_missing=False) if holder else config
        signature = signature_at({} if node is None else node, holder)
        if signature is None:
            continue
        parameter = signature.parameters.get(names[0])
        if parameter is None or names[0] in injected_at(holder):
            return False
        return len(names) == 1 or (parameter.type.holds("mapping") and not _is_group(holder, names))
    return False


def _is_group(holder: str, names: list[str]) -> bool:
    return not holder and names[0] in GROUPS


def _holders(parent: str, rest: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The mapping itself, then each one that holds it, with the names from there to the key."""
    if (
        len(rest) > 1
        and not parent
        and rest[0] in GROUPS
        and GROUPS[rest[0]].plain
        and not GROUPS[rest[0]].mapping
    ):
        yield rest[0], rest[1:]  # `expected.value` where `expected` is null
    while True:
        yield parent, rest
        if not parent:
            return
        parent, _, name = parent.rpartition(".")
        rest = [name, *rest]


def deepest(config: DictConfig, key: str) -> tuple[str, list[str]]:
    """The longest part of the key that is a mapping of the config, and what is left of the key."""
    parts = key.split(".")
    for length in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:length])
        try:
            node = OmegaConf.select(config, head, throw_on_missing=False)
        except Exception:  # noqa: BLE001, S112 - a broken interpolation on the way is a fault of its own
            continue
        if isinstance(node, DictConfig):
            return head, parts[length:]
    return "", parts


def legal_names(node: Mapping[str, Any], key: str) -> list[str]:
    """The keys that the signature at `key` takes, without those that our code gives."""
    signature = signature_at(node, key)
    names = list(signature.parameters) if signature is not None else []
    return [name for name in names if name not in injected_at(key)]


def type_of(node: Mapping[str, Any], key: str, name: str) -> Type:
    """The type that the signature at `key` gives to the argument `name`."""
    signature = signature_at(node, key)
    parameter = signature.parameters.get(name) if signature is not None else None
    return ANY if parameter is None else parameter.type
