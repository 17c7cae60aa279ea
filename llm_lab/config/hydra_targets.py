"""The fixed list of what Hydra may build by itself, before any of our code can look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from omegaconf import DictConfig, OmegaConf

from llm_lab.config.allowed import REFUSED, TARGET
from llm_lab.config.fault import Fault
from llm_lab.config.walk import UNRESOLVED, Item, Walk

_PLUGINS = "hydra_plugins.hydra_"
BUILT = frozenset(
    {
        "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
        "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
        "hydra.experimental.callbacks.LogJobReturnCallback",
        "hydra_plugins.llm_lab.grid_sweeper.GridSweeper",
        "hydra_plugins.llm_lab.optuna_sweeper.OptunaSweeper",
        f"{_PLUGINS}joblib_launcher.joblib_launcher.JoblibLauncher",
        f"{_PLUGINS}ray_launcher.ray_launcher.RayLauncher",
        f"{_PLUGINS}submitit_launcher.submitit_launcher.LocalLauncher",
        f"{_PLUGINS}submitit_launcher.submitit_launcher.SlurmLauncher",
    }
)
LOGGING = frozenset(
    {
        "colorlog.ColoredFormatter",
        "logging.FileHandler",
        "logging.Formatter",
        "logging.NullHandler",
        "logging.StreamHandler",
        "logging.handlers.RotatingFileHandler",
        "logging.handlers.TimedRotatingFileHandler",
        "rich.logging.RichHandler",
    }
)
STREAMS = frozenset({"ext://sys.stdout", "ext://sys.stderr"})
# Python's logging imports what stands under these keys, wherever they stand.
_FACTORIES = ("()", "class", "listener", "queue")
_SEARCH_SPACE = "custom_search_space"  # the Optuna sweeper imports and calls what it names
_ADMITTING = ("LLM_LAB_ALLOW", "HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE")


def findings(hydra: DictConfig) -> Iterator[Fault]:
    """Give what Hydra would build, import or admit from its node that is not on the list.

    In place of a file, `where` holds the key under which it was written.
    """
    for part, judge in _JUDGES.items():
        if part in hydra:
            for item in Walk().items(hydra[part], f"hydra.{part}"):
                for message in judge(item):
                    yield Fault(key=item.key, message=message, where=item.source)
    for name in _ADMITTING:
        if name in (OmegaConf.select(hydra, "job.env_set") or ()):
            key = f"hydra.job.env_set.{name}"
            yield Fault(key=key, message="is not allowed (a config cannot admit its own targets)", where=key)


def _judge_built(item: Item) -> Iterator[str]:
    if item.name == TARGET:
        yield from _off_list(item, BUILT)
    elif item.name in REFUSED:
        yield "is not allowed"
    elif item.name == _SEARCH_SPACE and item.raw is not None:
        yield "is not allowed (it imports and calls what it names)"
    elif item.value is UNRESOLVED and item.interpolated and item.raw.endswith("}"):
        yield f"{item.raw} cannot be resolved before the run, so it cannot be checked"


def _judge_logging(item: Item) -> Iterator[str]:
    if item.name in _FACTORIES:
        yield from _off_list(item, LOGGING)
    elif item.name == ".":
        yield "is not allowed (it sets attributes of Python objects)"
    for text in item.texts:
        if text.startswith(("ext://", "cfg://")) and text not in STREAMS:
            yield f"{text} is not allowed (of `ext://` only sys.stdout and sys.stderr)"


def _off_list(item: Item, allowed: frozenset[str]) -> Iterator[str]:
    for text in item.texts:
        if text not in allowed:
            yield f"{text} is not allowed (Hydra itself would build it, and does so from a fixed list only)"
            return
    if item.interpolated:
        yield f"{item.raw} is not allowed (what Hydra itself builds must be written out)"
    elif not isinstance(item.raw, str):
        yield "is not allowed (what Hydra itself builds must be named by a text)"


_JUDGES: dict[str, Callable[[Item], Iterator[str]]] = {
    "callbacks": _judge_built,
    "launcher": _judge_built,
    "sweeper": _judge_built,
    "hydra_logging": _judge_logging,
    "job_logging": _judge_logging,
}
