"""Multiple choice: a question, the texts that might be right, and the one that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_lab.data.choice_rows import Choice, as_list, clean
from llm_lab.data.choice_table import ChoiceTable, write_choices
from llm_lab.data.readers import identity, read
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.shares import left_open, parse_shares, split_of, told_split
from llm_lab.data.source import SPLITS, parse_sources
from llm_lab.data.source_data import SourceData
from llm_lab.data.spec import DataSpec
from llm_lab.data.staging import folded, key_of
from llm_lab.errors import ConfigError, DataError

ROLES = ("text", "choices", "label")


class MultipleChoiceData(SourceData):
    """Rows of a text (a question, the beginning of a story) and choices, of which one belongs to it.

    Args:
        source: as for `llm_lab.data.text_classification.TextClassificationData`.
        tokenizer: node of a `TokenizerSource`.
        licence: of the data.
        format: None tells it from the suffix.
        columns: the column of each role: ``text``, ``label`` (a number from 0, a letter from A, or the right text)
            and ``choices``, either one column that holds a list or a column for each.
        split: shares of the texts that go to ``val`` and ``test`` by a hash; None is 0.1 each where the source gives
            no splits, and none otherwise.
        folds: see `SourceData`.
        fold: see `SourceData`.
        limit: most rows per split.
        max_rejected: share of unusable rows above which the run stops.
        max_length: most tokens of a text with one of its choices.
        transforms: mapping from a name to a node of a `Transform`; the choices stay as they are.
        batch_size: rows per micro-batch and rank.
        seed: of the order of the batches.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        *,
        source: str | Mapping[str, Any],
        tokenizer: Mapping[str, Any],
        licence: str,
        format: str | None = None,  # noqa: A002 - the user's word
        columns: Mapping[str, Any] | None = None,
        split: Mapping[str, float] | None = None,
        folds: int | None = None,
        fold: int = 0,
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 128,
        transforms: Mapping[str, Any] | None = None,
        batch_size: int = 16,
        seed: int = 42,
    ) -> None:
        sources = parse_sources(source, format=format)
        super().__init__(
            sources=sources,
            tokenizer=tokenizer,
            licence=licence,
            shares=parse_shares(split, told=any(one.split for one in sources)),
            folds=folds,
            fold=fold,
            limit=limit,
            max_rejected=max_rejected,
            max_length=max_length,
            transforms=transforms,
            batch_size=batch_size,
            seed=seed,
        )
        self.columns = {role: role for role in ROLES} | dict(columns or {})
        if len(self.columns) > len(ROLES):
            raise ConfigError(f"data.columns: the roles are {', '.join(ROLES)}, found {sorted(self.columns)}")

    @property
    def named(self) -> dict[str, list[str]]:
        """The columns of each role."""
        return {role: as_list(names) for role, names in self.columns.items()}

    def recipe(self) -> Mapping[str, Any]:
        """Return what the tokens depend on."""
        return {
            "choices": 1,
            "sources": [identity(one) for one in self.sources],
            "columns": self.named,
            "kept": [self.shares, self.limit, self.max_rejected, self.max_length, self.licence],
            "tokenizer": self.tokenizer.identity(),
            **self.variation,
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, divide, tokenize."""
        with RejectLog(path=folder / NAME) as rejects:
            splits = self._read(rejects)
        total = sum(map(len, splits.values())) + rejects.reasons.total()
        self.check_rejects(rejects, rows=total, folder=folder, fingerprint=fingerprint)
        splits = {
            split: [self._changed(row, split) for row in rows[: self.limit]]
            for split, rows in splits.items()
            if rows
        }
        if "train" not in splits:
            raise DataError("there are no training rows")
        texts = [text for row in splits["train"] for text in (row.text, *row.choices)]
        tokenizer = self.save_tokenizer(folder, lambda: iter(texts))
        longest = max(
            write_choices(folder / f"{split}.arrow", rows, tokenizer, max_length=self.max_length)
            for split, rows in splits.items()
        )
        return self.described(
            problem="choice",
            sizes={split: len(rows) for split, rows in splits.items()},
            longest=longest,
            fingerprint=fingerprint,
            columns=self.named,
            tokenizer=tokenizer,
            sample=texts,
            facts={
                "rows": total,
                "rejected": rejects.summary(),
                "choices": dict(Counter(len(row.choices) for rows in splits.values() for row in rows)),
            },
        )

    def table(self, folder: Path, split: str, spec: DataSpec) -> ChoiceTable:
        """Tokens and labels of a split."""
        return ChoiceTable(path=folder / f"{split}.arrow", pad_id=int(spec.summary["pad_id"]))

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``text``, ``choices`` and ``label`` (a number from 0) of each row."""
        for values in self.table(folder, split, spec).stream(*ROLES):
            yield dict(zip(ROLES, values, strict=True))

    def _changed(self, row: Choice, split: str) -> Choice:
        return replace(row, text=self.transformed(row.text, split, key_of(row.text)))

    def _read(self, rejects: RejectLog) -> dict[str, list[Choice]]:
        """Rows by split; of texts in two splits the later keeps its own."""
        made: dict[str, list[Choice]] = {split: [] for split in SPLITS}
        shares = left_open(self.shares, {told_split(one.split, self.fold) for one in self.sources})
        for source in self.sources:
            told = told_split(source.split, self.fold)
            needed = [name for names in self.named.values() for name in names]
            for record in read(source, needed, licence=self.licence):
                row = record if isinstance(record, Rejected) else clean(record, self.columns)
                if isinstance(row, Rejected):
                    rejects.add(row)
                else:
                    made[
                        str(told)
                        if told in {"val", "test"}
                        else split_of(key_of(folded(row.text)), shares, fold=self.fold)
                    ].append(row)
        for split, later in (("val", "test"), ("train", "test"), ("train", "val")):
            taken = {folded(row.text) for row in made[later]}
            made[split] = [row for row in made[split] if folded(row.text) not in taken]
        return made
