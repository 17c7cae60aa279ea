"""What this machine can do, asked without importing torch until there is no other way to know."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})  # x86 `flags`, Arm `Features`


def cores() -> int:
    """Return how many logical cores this process really has, affinity and cgroup quota counted."""
    from joblib import cpu_count  # type: ignore[import-untyped]

    return int(cpu_count())


def supports_bf16(accelerator: str = "auto") -> bool:
    """Whether the hardware computes in bfloat16 itself instead of emulating it.

    Args:
        accelerator: Lightning's name of it: ``cpu``, ``gpu``, ``cuda``, or ``auto`` for a CUDA device where
            there is one; other names (``mps``, ``tpu``) are taken at their word.
    """
    if accelerator == "cpu":
        return cpu_has_bf16()
    if accelerator not in ("auto", "gpu", "cuda"):
        return True
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return cpu_has_bf16()


@cache
def cpu_has_bf16() -> bool:
    """Whether the processor has AVX512-BF16, AMX-BF16 or Arm's BF16 extension."""
    system = platform.system()
    if system == "Linux":
        return bool(BF16_FLAGS & cpu_flags(CPUINFO.read_text(encoding="utf-8", errors="replace")))
    if system == "Darwin":
        return _sysctl("hw.optional.arm.FEAT_BF16") == "1"
    import torch

    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(flag) for flag in BF16_FLAGS)


def cpu_flags(text: str) -> set[str]:
    """Return the features of the first processor of a ``/proc/cpuinfo``."""
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(flags.split())
    return set()


def _sysctl(name: str) -> str:
    """Return one value of the macOS kernel; empty where it knows no such name."""
    command = ["/usr/sbin/sysctl", "-n", name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
