"""Text classification and regression over any table: from files with flaws to token batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from llm_lab.data.columns import Columns
from llm_lab.data.ingest import Cleaned, cleaned_texts, ingest
from llm_lab.data.labelled import LabelTable
from llm_lab.data.labels import label_names, label_reader
from llm_lab.data.module import TOKENIZER
from llm_lab.data.readers import identity
from llm_lab.data.settle import Policy, settle
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import Source, parse_sources
from llm_lab.data.source_data import SourceData
from llm_lab.data.spec import DataSpec
from llm_lab.data.staging import Staging
from llm_lab.data.targets import Targets
from llm_lab.data.tokenize import tokenize
from llm_lab.data.transforms import Transform

FORMAT = 1  # of the prepared folder; a change makes old folders unknown


class TextClassificationData(SourceData):
    """Rows of text with one label, several labels, or a number.

    Args:
        source: a URI, ``{uri: ...}``, or a mapping from a name to either; a name such as ``train``, or
            ``split:`` beside the URI, says which split its rows belong to, ``label:`` which label they have.
            Beside the URI may also stand ``format``, ``header``, ``delimiter``, ``encoding``, ``quoted``,
            ``subset``.
        tokenizer: node of a ``llm_lab.data.tokenizers.TokenizerSource``.
        licence: of the data, as the report shows it.
        format: csv, tsv, json, jsonl, parquet, text, folder, hub; None tells it from the suffix.
        header: column names of tables that have no header row.
        delimiter: what stands between fields, where it is neither CSV's comma nor TSV's tab.
        encoding: of text files.
        columns: the column of each role, ``text``, ``pair``, ``label``, ``split``, ``group``; several columns may
            make up a text, a pair is a second text that the model is told apart from the first, and rows of one group
            stand in one split.
        labels: names, or a mapping from a name to its values or conditions (``llm_lab.data.labels``).
        label_separator: stands between the labels of a cell where ``problem`` is ``multi_label``.
        problem: what a target is.
        split: shares of the rows that go to ``val`` and ``test`` by a hash of their text, for splits that the
            source does not give; None makes 0.1 each where it says nothing about splits, and none otherwise.
        folds: of cross-validation: the rows that are not for testing are cut into so many parts by the same hash,
            and each is the validation split once; None takes the share in ``split``.
        fold: number of the part, from 0.
        conflicts: what becomes of equal texts with different labels in one split.
        duplicates: what becomes of equal texts with equal labels in one split.
        leaks: what becomes of rows that stand in a later split too: taken from the earlier, kept, an error.
        limit: most rows per split.
        max_rejected: share of unusable rows above which the run stops.
        max_length: most tokens per row.
        transforms: mapping from a name to a node of a ``llm_lab.data.transforms.Transform``.
        batch_size: rows per micro-batch and rank.
        seed: of the order of the batches and of random transforms; the splits do not depend on it.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        *,
        source: str | Mapping[str, Any],
        tokenizer: Mapping[str, Any],
        licence: str,
        format: str | None = None,  # noqa: A002 - the user's word
        header: Sequence[str] | None = None,
        delimiter: str | None = None,
        encoding: str = "utf-8",
        columns: Mapping[str, Any] | None = None,
        labels: Sequence[Any] | Mapping[str, Any] | None = None,
        label_separator: str = ";",
        problem: Literal["single_label", "multi_label", "regression"] = "single_label",
        split: Mapping[str, float] | None = None,
        folds: int | None = None,
        fold: int = 0,
        conflicts: Literal["drop", "keep"] = "drop",
        duplicates: Literal["drop", "keep"] = "drop",
        leaks: Literal["drop", "keep", "error"] = "drop",
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 256,
        transforms: Mapping[str, Any] | None = None,
        batch_size: int = 32,
        seed: int = 42,
    ) -> None:
        sources = parse_sources(source, format=format, header=header, delimiter=delimiter, encoding=encoding)
        roles = Columns.parse(columns or {})
        given = any(one.split or one.format == "hub" for one in sources)
        super().__init__(
            sources=sources,
            tokenizer=tokenizer,
            licence=licence,
            shares=parse_shares(split, told=bool(roles.split) or given),
            folds=folds,
            fold=fold,
            limit=limit,
            max_rejected=max_rejected,
            max_length=max_length,
            transforms=transforms,
            batch_size=batch_size,
            seed=seed,
        )
        self.columns, self.problem, self.labels = roles, problem, labels
        self.read_label = label_reader(labels, problem=problem, separator=label_separator)
        keep = "keep" if problem == "regression" else conflicts  # raters may differ about a number
        self.policy = Policy(conflicts=keep, duplicates=duplicates, leaks=leaks, limit=limit)
        self._told = {"separator": label_separator}

    def refused(self, transform: Transform) -> str | None:
        """Nothing: a label is that of the whole text."""
        return None

    def recipe(self) -> Mapping[str, Any]:
        """Return what the tokens depend on: sources' contents, columns, splits, transforms, tokenizer."""
        return {
            "format": FORMAT,
            "sources": [identity(source) for source in self.sources],
            "columns": self.columns.facts(),
            "labels": [self.problem, self.labels, self._told],
            "shares": self.shares,
            "policy": vars(self.policy),
            "tokenizer": self.tokenizer.identity(),
            "max_length": self.max_length,
            "shown": [self.licence, self.max_rejected],
            "transforms": [],
            **self.variation,
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, clean, settle, tokenize."""
        staging = Staging(folder=folder, shares=self.shares, fold=self.fold)
        try:
            self.save_transforms(folder)
            read, places = ingest(self, staging, folder, keep=folder.parent / f"{fingerprint}.rejected.jsonl")
            settled = settle(staging, self.policy)
            targets = Targets.of(
                staging,
                problem=self.problem,
                listed=label_names(self.labels),
                columns=self.columns,
                places=places,
            )
            tokens = tokenize(self, staging, folder, targets)
        finally:
            staging.close()
        self.check_fold(tokens.sizes)
        return DataSpec(
            problem=self.problem,
            labels=targets.names,
            sizes=tokens.sizes,
            class_counts=targets.counts,
            tokenizer=Path(TOKENIZER),
            max_length=tokens.longest,
            fingerprint=fingerprint,
            summary={
                "licence": self.licence,
                "columns": {"text": list(self.columns.text)}
                | ({"pair": self.columns.pair} if self.columns.pair else {}),
                "truncated_at": self.max_length,
                "transforms": self.transform_nodes,
                "seed": self.seed,
                "sources": self.uris,
                **read,
                **settled,
                "tokenizer": tokens.report,
                "tokens": tokens.tokens,
                "at_max_length": tokens.cut,
                "pad_id": tokens.pad_id,
                "warnings": targets.warnings,
            },
        )

    def cleaned(self, source: Source) -> Cleaned:
        """Each record of a source with the row that became of it, or why none did."""
        return cleaned_texts(self, source)

    def table(self, folder: Path, split: str, spec: DataSpec) -> LabelTable:
        """Tokens and labels of a split."""
        return LabelTable(path=folder / f"{split}.arrow", spec=spec)

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``text``, ``pair`` and ``label`` (name, list of names, or number) of each row."""
        return self.table(folder, split, spec).named()
