"""What the report says in lines of a name and a text: data, cost, evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_lab.data.spec import DataSpec
from llm_lab.tracking import formats

SPLITS = ("train", "val", "test")
NAMES = {"truncated_at": "max_length"}  # as users type it: longer texts are cut there, or into windows
Fact = tuple[str, str]


def sizes(spec: DataSpec) -> list[Fact]:
    """Return rows per split and training rows per class."""
    rows = [(split, f"{spec.sizes[split]:,}") for split in SPLITS if split in spec.sizes]
    return [*rows, ("classes", str(len(spec.labels)))] if len(spec.labels) > 1 else rows


def data_facts(summary: Mapping[str, Any]) -> list[Fact]:
    """Return the plain facts about the data as lines: nested counts on one line each."""
    named = ((NAMES.get(name, str(name).replace("_", " ")), value) for name, value in summary.items())
    return [(name, _plain_fact(value)) for name, value in named]


def _plain_fact(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = (f"{str(name).replace('_', ' ')} {_plain_fact(item)}" for name, item in value.items())
        return ", ".join(inner) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_plain_fact(item) for item in value) or "none"
    return "unknown" if value is None else formats.number(value)


def cost(ledger: Mapping[str, Any]) -> list[Fact]:
    """Return the cost ledger as lines; what is unknown says so."""

    def get(name: str) -> Any:
        return ledger.get(f"run/{name}")

    parts, source = get("parts") or 1, str(get("joules_source") or "unknown")
    speed = f"{formats.number(get('examples_per_second'), 1)} rows/s"
    tokens = f"{formats.number(get('tokens_per_second'), 0)} tokens/s"
    peak = f"{formats.scaled(get('peak_flops_per_second'), 'FLOP/s')} measured on this machine"
    joules = formats.scaled(get("joules"), "J")
    price = get("cost")
    return [
        ("time", formats.seconds(get("seconds")) + (f" in {parts} parts" if parts > 1 else "")),
        ("training", f"{speed}, {tokens}"),
        ("tokens", f"{formats.number(get('tokens'))}, padding {formats.percent(get('padding_share'))}"),
        ("operations", formats.scaled(get("flops"), "FLOP") if get("flops") is not None else "unknown"),
        ("share of the peak", f"{formats.percent(get('peak_share'))} of {peak}"),
        ("memory", f"{formats.size(get('peak_rss_bytes'))} at most"),
        ("energy", f"about {joules}, an estimate" if "estimate" in source else f"{joules} by {source}"),
        ("money", "no price configured" if price is None else f"{price:.4f} {get('currency')}"),
    ]


def phases(ledger: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Return (phase, seconds, percent of the whole), the longest first."""
    prefix = "run/seconds_"
    found = {
        key.removeprefix(prefix): float(value or 0) for key, value in ledger.items() if key.startswith(prefix)
    }
    whole = sum(found.values()) or 1.0
    return [
        (name, value, 100 * value / whole) for name, value in sorted(found.items(), key=lambda item: -item[1])
    ]


def manifest_facts(manifest: Mapping[str, Any]) -> list[Fact]:
    """Return the manifest as lines."""
    skipped = {"words", "packages", "git"}
    facts = [
        (name.replace("_", " "), _plain_fact(value))
        for name, value in manifest.items()
        if name not in skipped
    ]
    git = manifest.get("git")
    state = (
        f"{git['commit']}{' with uncommitted changes' if git['dirty'] else ''}" if git else "no repository"
    )
    packages = ", ".join(f"{name} {version}" for name, version in (manifest.get("packages") or {}).items())
    return [*facts, ("git commit", state), ("packages", packages)]
