"""What is said about the machine agrees with what the machine says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llm_lab.config import hardware
from llm_lab.config.hardware import cores, cpu_flags, supports_bf16


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_cores_follow_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= cores() <= len(before)


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\nbugs\t: bf16\n", False),
        ("", False),
    ],
)
def test_bf16_of_a_linux_processor(
    text: str, *, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(hardware.platform, "system", lambda: "Linux")
    hardware.cpu_has_bf16.cache_clear()
    assert supports_bf16("cpu") is has
    hardware.cpu_has_bf16.cache_clear()


@pytest.mark.parametrize(("answer", "has"), [("1", True), ("0", False), ("", False)])
def test_bf16_of_a_mac(answer: str, *, has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(hardware, "_sysctl", lambda name: answer)
    hardware.cpu_has_bf16.cache_clear()
    assert supports_bf16("cpu") is has
    hardware.cpu_has_bf16.cache_clear()


def test_torch_agrees_about_this_processor() -> None:
    import torch

    known = torch.cpu.get_capabilities()
    assert supports_bf16("cpu") == any(known.get(name) for name in hardware.BF16_FLAGS)


def test_a_cuda_device_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for has in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has=has: has)
        assert supports_bf16() is has


def test_only_the_flags_line_counts() -> None:
    assert cpu_flags("model name : bf16\nflags : a b\nflags : c") == {"a", "b"}
