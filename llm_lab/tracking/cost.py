"""From counts to figures: rates, shares of the machine's peak, joules, money."""

from __future__ import annotations

import ctypes
import gc
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from llm_lab.config.hardware import cores
from llm_lab.tracking import flops

Figures = dict[str, float | int | str | None]
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What an hour and a core's power are taken to be; see `llm_lab.tracking.ledger.Ledger`."""

    price_per_hour: float | None
    currency: str
    watts_per_core: float


def time_figures(seconds: Mapping[str, float], counts: Mapping[str, int], train_seconds: float) -> Figures:
    """Seconds in all and by phase; examples and tokens, and how many of them a second of training took in."""
    examples, tokens, slots = (counts.get(name, 0) for name in ("examples", "tokens", "slots"))
    return {
        "run/seconds": sum(seconds.values()),
        **{f"run/seconds_{name}": value for name, value in sorted(seconds.items())},
        "run/parts": counts.get("parts", 1),
        "run/train_seconds": train_seconds,
        "run/examples": examples,
        "run/examples_per_second": _ratio(examples, train_seconds),
        "run/tokens": tokens,
        "run/tokens_per_second": _ratio(tokens, train_seconds),
        "run/padding_share": 1 - tokens / slots if slots else None,
    }


def work_figures(
    train: int | None, evaluation: int | None, train_seconds: float, peak: float | None
) -> Figures:
    """Floating-point operations, their rate in training, and its share of the measured matrix peak."""
    rate = _ratio(train, train_seconds)
    known = train is not None and evaluation is not None
    return {
        "run/flops": train + evaluation if known else None,  # type: ignore[operator]
        "run/train_flops": train,
        "run/flops_per_second": rate,
        "run/peak_flops_per_second": peak,
        "run/peak_share": _ratio(rate, peak),
    }


def resource_figures(seconds: float, joules: Mapping[str, float], rates: Rates) -> Figures:
    """Memory, energy with the word of where it comes from, and money."""
    price = rates.price_per_hour
    total, source = energy(seconds, joules, rates.watts_per_core)
    return {
        "run/cores": cores(),
        "run/peak_rss_bytes": peak_rss(),
        "run/peak_gpu_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
        "run/joules": total,
        "run/joules_source": source,
        "run/cost": None if price is None else price * seconds / HOUR,
        "run/currency": None if price is None else rates.currency,
    }


def size_figures(model: Any, optimizer: int | None) -> Figures:
    """Parameters, those that train and their share, and the bytes of the optimizer's state over all ranks."""
    if not isinstance(model, nn.Module):
        return {}
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    total, trained = sum(size for size, _ in sizes), sum(size for size, trains in sizes if trains)
    return {
        "run/parameters": total,
        "run/trainable_parameters": trained,
        "run/trainable_share": _ratio(trained, total),
        "run/optimizer_bytes": optimizer,
    }


def optimizer_bytes(optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """Bytes of what optimizers keep per parameter: two numbers for Adam, one for momentum."""
    kept = [value for one in optimizers for state in one.state.values() for value in state.values()]
    return sum(value.numel() * value.element_size() for value in kept if isinstance(value, Tensor))


def energy(seconds: float, joules: Mapping[str, float], watts_per_core: float) -> tuple[float, str]:
    """Return joules and their source; what the processor does not report is estimated and says so."""
    measured = dict(joules)
    if "rapl" not in measured:
        measured["estimate"] = cores() * watts_per_core * seconds
    return sum(measured.values()), "+".join(sorted(measured, reverse=True))


def operations(
    model: nn.Module, shapes: Counter[tuple[str, flops.Shape]], **how: Any
) -> tuple[int | None, int | None]:
    """Return the operations of training and of evaluation; None where they cannot be counted.

    Args:
        model: as it was trained.
        shapes: how often each kind of batch came.
        how: the model is run, see `flops.count`.
    """
    train = {shape: times for (kind, shape), times in shapes.items() if kind == "train"}
    evaluation = {shape: times for (kind, shape), times in shapes.items() if kind == "eval"}
    trained, evaluated = (
        flops.count(model, kind, train=kind is train, **how) for kind in (train, evaluation)
    )
    return trained, evaluated


def dtype_of(precision: str) -> torch.dtype:
    """Return the dtype of the matrix products under a Lightning precision, e.g. ``bf16-mixed``."""
    kinds = {"bf16": torch.bfloat16, "16": torch.float16, "64": torch.float64}
    return kinds.get(precision.partition("-")[0], torch.float32)


def reset_peak_rss() -> None:
    """Let `peak_rss` count from here, for a run that shares its process with earlier ones; Linux alone can."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what earlier runs have freed is not this one's
        reset.write_text("5", encoding="ascii")


def peak_rss() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    if platform.system() == "Windows":
        info: Any = psutil.Process().memory_info()
        return int(info.peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
