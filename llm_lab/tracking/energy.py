"""Joules that the machine itself reports: RAPL for processors on Linux, NVML for NVIDIA GPUs."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
log = logging.getLogger(__name__)


class EnergyMeter:
    """Sums the energy counters of this machine; all of its programs count, not only this one.

    RAPL counters are read per package and wrap around after some minutes at full power, so `sample` must be
    called at least once a minute.

    Sources: https://docs.kernel.org/power/powercap/powercap.html and
    https://docs.nvidia.com/deploy/nvml-api (nvmlDeviceGetTotalEnergyConsumption).

    Args:
        powercap: folder of the kernel's powercap tree.
    """

    def __init__(self, *, powercap: Path = POWERCAP) -> None:
        self.joules: dict[str, float] = {}
        self._counters = [*_rapl(powercap), *_nvml()]
        self._last = [read() for _, read, _ in self._counters]

    def sample(self) -> None:
        """Add what was used since the last sample."""
        for position, (source, read, wraps_at) in enumerate(self._counters):
            now, before = read(), self._last[position]
            if now is None or before is None:
                continue
            used = now - before if now >= before else now - before + wraps_at
            self.joules[source] = self.joules.get(source, 0.0) + max(0.0, used)
            self._last[position] = now


Counter = tuple[str, Callable[[], float | None], float]


def _rapl(powercap: Path) -> list[Counter]:
    packages = sorted(path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1)
    found = [
        ("rapl", _reader(package / "energy_uj", 1e-6), _number(package / "max_energy_range_uj", 1e-6) or 0.0)
        for package in packages
    ]
    return [counter for counter in found if counter[1]() is not None]


def _reader(path: Path, unit: float) -> Callable[[], float | None]:
    return lambda: _number(path, unit)


def _number(path: Path, unit: float) -> float | None:
    """Read a counter; the kernel lets only root read RAPL on many machines, which counts as not there."""
    try:
        return float(path.read_text()) * unit
    except (OSError, ValueError):
        return None


def _nvml() -> list[Counter]:
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except Exception as error:  # noqa: BLE001 - no library, no driver, no device: all mean "not reported"
        log.debug("no GPU energy counter: %s", error)
        return []
    counters = [("nvml", _gpu_reader(nvml, handle), 0.0) for handle in handles]
    return [counter for counter in counters if counter[1]() is not None]


def _gpu_reader(nvml: Any, handle: Any) -> Callable[[], float | None]:
    def read() -> float | None:
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) * 1e-3
        except nvml.NVMLError:
            return None

    return read
