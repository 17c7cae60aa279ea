"""The choke point: whatever a config names with `_target_` is built here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, overload

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from llm_lab.config.allowed import REFUSED, TARGET, TargetError
from llm_lab.config.arguments import accepted, misfits
from llm_lab.config.targets import Target, name_of, resolve
from llm_lab.errors import ConfigError, LabError

T = TypeVar("T")
ORDER = "order"
Node = DictConfig | Mapping[str, Any] | None


@overload
def build(node: Node, *, expected: type[T], key: str, **injected: Any) -> T: ...
@overload
def build(node: Node, *, expected: tuple[type, ...], key: str, **injected: Any) -> Any: ...
def build(node: Node, *, expected: type[T] | tuple[type, ...], key: str, **injected: Any) -> T | Any:
    """Build what a node names, from the node's own values and those that the program injects.

    Nodes inside the node are not built: they reach the constructor as plain dicts, for it to build. An
    injected value is passed where the target has a parameter of its name; the node cannot set that name.

    Args:
        node: a mapping with a `_target_`.
        expected: what the built object must be an instance of.
        key: where the node stands in the config, for errors.
        injected: values that no config can hold, passed as they are.

    Raises:
        ConfigError: the target is not allowed, is no `expected`, or does not take these arguments.
        LabError: the constructor raised it.
        RuntimeError: the constructor failed in another way; what it raised is the cause.
    """
    kinds = expected if isinstance(expected, tuple) else (expected,)
    arguments = _arguments(node, key)
    try:
        target = resolve(arguments.pop(TARGET), kinds)
    except TargetError as error:
        raise ConfigError(f"{key}.{TARGET}: {error}") from error
    if faults := misfits(target, arguments, injected, key=key):
        raise ConfigError("; ".join(map(str, faults)))
    built = _call(target, {**arguments, **accepted(target, injected)}, key)
    if not isinstance(built, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigError(
            f"{key}.{TARGET}: {name_of(target)} gave a {type(built).__name__}, which is no {wanted}"
        )
    return built


@overload
def build_all(mapping: Node, *, expected: type[T], key: str, **injected: Any) -> dict[str, T]: ...
@overload
def build_all(mapping: Node, *, expected: tuple[type, ...], key: str, **injected: Any) -> dict[str, Any]: ...
def build_all(mapping: Node, *, expected: Any, key: str, **injected: Any) -> dict[str, Any]:
    """Build every node of a mapping from names to nodes, by their integer `order` (else 0), ties by name.

    A null node is left out; a null mapping is an empty one. Raises as `build` does.
    """
    nodes = {} if mapping is None else _plain(mapping, key)
    orders = {name: _order(node, f"{key}.{name}") for name, node in nodes.items() if node is not None}
    built = {}
    for name in sorted(orders, key=lambda name: (orders[name], name)):
        node = {inner: value for inner, value in nodes[name].items() if inner != ORDER}
        built[name] = build(node, expected=expected, key=f"{key}.{name}", **injected)
    return built


def _call(target: Target, arguments: dict[str, Any], key: str) -> Any:
    """Let Hydra make the call, so that its own policy on targets holds as well.

    Hydra gets the name alone, and the arguments at the call: merged into a config, injected dataclasses would
    become configs, and texts that hold `${` would be resolved a second time.
    """
    from hydra.utils import instantiate

    try:
        # Hydra 1.4 takes `_target_whitelist_=[name]` beside these, and 1.5 will ask for it.
        deferred = instantiate({TARGET: name_of(target)}, _partial_=True, _recursive_=False, _convert_="all")
        return deferred(**arguments)
    except LabError as error:
        if error.args and not str(error).startswith((f"{key}:", f"{key}.")):
            error.args = (f"{key}: {error}",)
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key}: {name_of(target)} does not take these values: {error}") from error
    except Exception as error:
        raise RuntimeError(f"{key}: {name_of(target)} failed: {type(error).__name__}: {error}") from error


def _arguments(node: Node, key: str) -> dict[str, Any]:
    """Return a node's values, its `_target_` among them, with nothing in it that changes how it is built."""
    if node is None:
        raise ConfigError(f"{key}: is null, but is needed here")
    plain = _plain(node, key)
    if TARGET not in plain:
        raise ConfigError(f"{key}: has no {TARGET}")
    for name in REFUSED:
        if name in plain:
            raise ConfigError(f"{key}.{name}: is not allowed (a config says what is built, not how)")
    return plain


def _plain(node: Any, key: str) -> dict[str, Any]:
    """Resolve a node into plain containers."""
    try:
        is_config = OmegaConf.is_config(node)
        plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True) if is_config else node
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or key}: {str(error).splitlines()[0]}") from error
    if not isinstance(plain, Mapping):
        kind = "list" if isinstance(node, ListConfig | list) else type(node).__name__
        raise ConfigError(f"{key}: must be a mapping, not a {kind}")
    return {str(name): value for name, value in plain.items()}


def _order(node: Any, key: str) -> int:
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key}: must be a mapping with a {TARGET}, or null, not {node!r}")
    order = node.get(ORDER, 0)
    if not isinstance(order, int) or isinstance(order, bool):
        raise ConfigError(f"{key}.{ORDER}: must be an integer, not {order!r}")
    return order
