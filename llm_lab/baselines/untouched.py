"""Retrieval by the encoder as it was before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from transformers import AutoTokenizer

from llm_lab.baselines.baseline import Baseline, Source
from llm_lab.baselines.retrieval import TextPairs, measure_ranks
from llm_lab.data.spec import DataSpec, Split
from llm_lab.models.heads import Head
from llm_lab.models.sentence import embed_texts
from llm_lab.models.text import pretrained
from llm_lab.tasks.artifact import limit
from llm_lab.tasks.ranking import Pairs, compare


class Untouched(Baseline):
    """What fine-tuning starts from, measured on the same texts.

    Args:
        source: URI or folder of the encoder.
        pooling: as in `llm_lab.tasks.contrastive.Contrastive`.
        normalize: as there.
    """

    def __init__(
        self,
        *,
        source: str,
        pooling: Literal["mean", "cls", "max"] = "mean",
        normalize: bool = True,
    ) -> None:
        self.source, self.pooling, self.normalize = source, pooling, normalize

    def evaluate(
        self, data: Source, *, spec: DataSpec, metrics: Mapping[str, Any], split: Split
    ) -> dict[str, float]:
        """See `Baseline.evaluate`."""
        model = pretrained(spec=spec, head=Head.ENCODER, source=self.source)
        tokenizer = AutoTokenizer.from_pretrained(spec.tokenizer)
        texts = TextPairs.of(data.rows(split))
        queries, keys = (
            embed_texts(
                model.eval(),
                tokenizer,
                some,
                pooling=self.pooling,
                normalize=self.normalize,
                max_length=limit(spec),
            )
            for some in (texts.queries, texts.keys)
        )
        found = Pairs(queries, keys, texts.row, texts.column)
        return measure_ranks(metrics, compare(found, scale=1.0)[1], compare(found.back(), scale=1.0)[1])
