"""Another run as the thing beside a figure: the same without the idea that is tried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_lab import assets
from llm_lab.baselines.baseline import Baseline, Source
from llm_lab.data.readers import as_uri
from llm_lab.data.spec import DataSpec, Split
from llm_lab.errors import RunError


class AnotherRun(Baseline):
    """The figures of a run, which is trained first where it is not there; see `llm_lab.results.difference` for the gap.

    Args:
        source: URI of the run, such as ``run://experiment/ner?seed=${seed}``.
    """

    def __init__(self, *, source: str) -> None:
        self.source = source

    @property
    def directory(self) -> Path:
        """Of the run."""
        return assets.resolve(as_uri(self.source))

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """The run's own figures, of the metrics that this one has too.

        Raises:
            RunError: it has none.
        """
        del data, spec
        file = self.directory / "metrics.json"
        found = json.loads(file.read_text(encoding="utf-8"))
        values = {name: found[f"{split}/{name}"] for name in metrics if f"{split}/{name}" in found}
        if not values:
            raise RunError(f"{file} has none of {split}/{', '.join(metrics)}")
        return values
