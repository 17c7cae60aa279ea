"""Tables and manifests whose columns are texts, pictures, sounds, numbers and categories."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from llm_lab import assets
from llm_lab.config import build
from llm_lab.data.ingest import ingest
from llm_lab.data.labels import label_names, label_reader
from llm_lab.data.module import TOKENIZER, DataModule
from llm_lab.data.multimodal.identity import media_identity
from llm_lab.data.multimodal.ingest import CELLS, Cleaned, Cleaner
from llm_lab.data.multimodal.inputs import Inputs
from llm_lab.data.multimodal.media import MediaWriter, threads
from llm_lab.data.multimodal.rows import Written, write_rows
from llm_lab.data.multimodal.table import ModalityTable
from llm_lab.data.multimodal.transcripts import transcript_reader
from llm_lab.data.readers import as_uri, identity
from llm_lab.data.settle import Policy, settle
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import Source, parse_sources
from llm_lab.data.spec import DataSpec, Problem
from llm_lab.data.staging import Staging
from llm_lab.data.targets import Targets
from llm_lab.data.tokenizers import TokenizerSource
from llm_lab.errors import ConfigError

FORMAT = 2  # of the prepared folder; a change makes old folders unknown


class MultimodalData(DataModule):
    """Rows of one or several inputs with one label, several labels, or a number.

    Files are read, checked and decoded once and kept beside the rows; batches are made from there.

    Args:
        source: see `llm_lab.data.text_classification.TextClassificationData`. Beside a URI may also stand
            ``root``, the URI of the folder that paths in cells are relative to (by default the table's own),
            ``path``, a pattern such as ``{}.png`` that makes a path of a cell, and for the format ``files``
            ``pattern``, a regular expression whose named groups are columns; the column ``file`` is the path.
        columns: input -> settings with a ``kind``: ``text``, ``image``, ``audio``, ``number``, ``category``
            (see the classes in `llm_lab.data.multimodal`), all of which know ``columns``, the names in the table,
            and ``optional``. ``label``, ``split``, ``group`` and ``same`` name the columns of these roles: rows of
            one group stand in one split, inputs of rows that are the same in one belong together (``modalities``).
        inputs: names of those that the model gets; None for all. Rows, splits and what is fitted are those of the
            whole table, so that models of different inputs are tested on the same rows.
        licence: of the data, as the report shows it.
        tokenizer: node of a ``llm_lab.data.tokenizers.TokenizerSource``, for texts.
        format: csv, tsv, json, jsonl, parquet, hub, files; None tells it from the suffix.
        header: column names of tables that have no header row, and of JSON rows that are lists.
        labels: see `TextClassificationData`.
        label_separator: see `TextClassificationData`.
        problem: what a target is; ``modalities`` for rows without labels, whose inputs belong together;
            ``transcript`` for a text that is to be written: ``label`` may then name one of the texts in ``columns``.
        folded: texts that are targets lose case and punctuation, as word error rates are counted.
        frames_per_character: frames of the first sound that a model needs for a character of the target; a row with
            fewer is rejected. None rejects none.
        split: shares of ``val`` and ``test`` by a hash of the row, for splits that the source does not give.
        held_out: column -> value, or values, whose rows are the test split and no others: a speaker, a site, a year.
        conflicts: what becomes of equal rows with different labels in one split.
        duplicates: what becomes of equal rows with equal labels in one split.
        leaks: what becomes of rows that stand in a later split too.
        fitted: URI of a run or model whose categories and means of numbers are taken, not those of the training rows.
        limit: most rows per split.
        max_rejected: share of unusable rows above which the run stops.
        max_length: most tokens of a text.
        batch_size: rows per micro-batch and rank.
        seed: of the order of the batches and of augmentation.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        *,
        source: str | Mapping[str, Any],
        columns: Mapping[str, Any],
        licence: str,
        inputs: Sequence[str] | None = None,
        tokenizer: Mapping[str, Any] | None = None,
        format: str | None = None,  # noqa: A002 - the user's word
        header: Sequence[str] | None = None,
        labels: Sequence[Any] | Mapping[str, Any] | None = None,
        label_separator: str = ";",
        problem: Literal[
            "single_label", "multi_label", "regression", "modalities", "transcript"
        ] = "single_label",
        folded: bool = True,
        frames_per_character: float | None = None,
        split: Mapping[str, float] | None = None,
        held_out: Mapping[str, Any] | None = None,
        conflicts: Literal["drop", "keep"] = "drop",
        duplicates: Literal["drop", "keep"] = "drop",
        leaks: Literal["drop", "keep", "error"] = "drop",
        fitted: str | None = None,
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 128,
        batch_size: int = 32,
        seed: int = 42,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        if limit is not None and limit < 1:
            raise ConfigError(f"data.limit: at least 1 is wanted, found {limit}")
        self.sources = parse_sources(source, format=format, header=header)
        self.columns = dict(columns)
        self.writes, self.only = problem == "transcript", inputs
        self.inputs = Inputs(self.columns, written=self.writes)
        self.chosen = Inputs(self.columns, written=self.writes, only=inputs)
        worded = bool(self.inputs.texts) or self.writes
        self.tokenizer = _tokenizer(tokenizer) if worded else None
        given = any(one.split or one.format == "hub" for one in self.sources)
        self.shares = parse_shares(split, told=bool(self.inputs.roles.split) or given)
        self.licence, self.problem, self.labels, self.separator = licence, problem, labels, label_separator
        self.labelled = problem != "modalities"
        read_as: Problem = problem if self.labelled else "single_label"
        self.folded, self.frames_per_character = folded, frames_per_character
        self.read_label = (
            transcript_reader(labels, folded=folded, target=self.inputs.target)
            if self.writes
            else label_reader(labels, problem=read_as, separator=label_separator)
        )
        free = self.writes or problem == "regression"  # raters may differ about a number, or say it otherwise
        keep = "keep" if free else conflicts
        self.policy = Policy(conflicts=keep, duplicates=duplicates, leaks=leaks, limit=limit)
        self.held_out = _held_out(held_out or {}, self.sources)
        self.fitted, self.max_rejected, self.max_length = fitted, max_rejected, max_length
        self.written = self.inputs if fitted is None else self.chosen  # the other run knows of no others
        self._cleaner: Cleaner | None = None
        self._pool: ThreadPoolExecutor | None = None

    def prepare(self) -> DataSpec:
        """See `DataModule.prepare`; the spec has the inputs that the model gets."""
        spec = super().prepare()
        inputs = {name: spec.inputs[name] for name in self.chosen.kinds}
        kinds = tuple(dict.fromkeys(kind.kind for kind in self.chosen.kinds.values()))
        self._spec = replace(spec, inputs=inputs, modalities=kinds)
        return self._spec

    def recipe(self) -> Mapping[str, Any]:
        """Return what the rows depend on; augmentation is left to the batches."""
        plain = {
            name: {key: value for key, value in node.items() if key != "augment"}
            if isinstance(node, Mapping)
            else node
            for name, node in self.columns.items()
        }
        return {
            "format": ["multimodal", FORMAT],
            "sources": [[identity(source), media_identity(source, self.inputs)] for source in self.sources],
            "columns": plain,
            "labels": [self.problem, self.labels, self.separator],
            "shares": self.shares,
            **({"held_out": self.held_out} if self.held_out else {}),
            **self._transcript,
            "policy": vars(self.policy),
            "tokenizer": [self.tokenizer.identity(), self.max_length] if self.tokenizer else [],
            "fitted": self._fitted_facts(),
            **({"inputs": list(self.written.kinds)} if self.written is not self.inputs and self.only else {}),
            "shown": [self.licence, self.max_rejected],
        }

    @property
    def _transcript(self) -> dict[str, Any]:
        """What texts that are targets depend on; nothing for other targets."""
        told = [self.folded, self.frames_per_character]
        return {"transcript": told} if self.writes else {}

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, decode, clean, settle, encode."""
        staging = Staging(folder=folder, shares=self.shares)
        keep = folder.parent / f"{fingerprint}.rejected.jsonl"
        try:
            with ExitStack() as stack:
                self._pool = stack.enter_context(ThreadPoolExecutor(threads()))
                writers = {
                    name: stack.enter_context(MediaWriter(folder, kind))
                    for name, kind in self.inputs.media.items()
                }
                self._cleaner = Cleaner(
                    inputs=self.inputs, writers=writers, read_label=self.read_label, labelled=self.labelled,
                    licence=self.licence, held_out=self.held_out, frames_per_character=self.frames_per_character,
                )  # fmt: skip
                read, places = ingest(self, staging, folder, keep=keep)
                self._cleaner.check_held_out()
            settled = settle(staging, self.policy)
            targets = self._targets(staging, places)
            written = write_rows(self, staging, folder, targets)
        finally:
            staging.close()
        return self._described(fingerprint, targets, written, {**read, **settled})

    def _targets(self, staging: Staging, places: Mapping[str, str]) -> Targets:
        if not self.labelled:
            return Targets(problem=self.problem, names=(), counts=(), warnings=[])
        return Targets.of(
            staging,
            problem=self.problem,
            listed=label_names(self.labels),
            columns=self.inputs.roles,
            places=places,
        )

    def cleaned(self, source: Source) -> Iterator[Cleaned]:
        """Each record of a source with what became of it; only while rows are made."""
        assert self._cleaner is not None  # noqa: S101 - set by `make`
        assert self._pool is not None  # noqa: S101 - likewise
        return self._cleaner.rows(source, self._pool)

    def fit_inputs(self, staging: Staging) -> None:
        """Learn categories and means from the training rows, or take over those of ``fitted``."""
        facts = self._fitted_facts()
        for name, kind in self.written.cells.items():
            if name in facts:
                kind.restore(facts[name])
            else:
                kind.fit(json.loads(values[CELLS])[name] for _, values, _ in staging.rows("train"))

    def _fitted_facts(self) -> dict[str, Any]:
        if self.fitted is None:
            return {}
        folder = assets.saved_in(assets.resolve(as_uri(self.fitted)))
        facts = json.loads((folder / "llm_lab.json").read_text(encoding="utf-8"))
        return dict(facts.get("inputs") or {})

    def _described(
        self, fingerprint: str, targets: Targets, written: Written, facts: Mapping[str, Any]
    ) -> DataSpec:
        return DataSpec(
            problem=self.problem,
            labels=targets.names,
            sizes=written.sizes,
            class_counts=targets.counts,
            modalities=tuple(dict.fromkeys(kind.kind for kind in self.written.kinds.values())),
            inputs=self.written.facts(),
            tokenizer=Path(TOKENIZER),
            max_length=written.longest,
            fingerprint=fingerprint,
            summary={
                "licence": self.licence,
                "columns": {name: kind.columns for name, kind in self.written.kinds.items()},
                "truncated_at": self.max_length,
                "seed": self.seed,
                "sources": [source.uri for source in self.sources],
                **facts,
                **written.facts,
                "warnings": targets.warnings,
            },
        )

    def table(self, folder: Path, split: str, spec: DataSpec) -> ModalityTable:
        """Inputs and labels of a split; training rows are augmented."""
        inputs = Inputs(self.columns, written=self.writes, only=self.only)
        for name, kind in inputs.cells.items():
            kind.restore(spec.inputs[name])
        tokenizer = load_tokenizer(folder) if inputs.texts else None
        for kind in inputs.texts.values():
            kind.tokenizer = tokenizer
        path = folder / f"{split}.arrow"
        return ModalityTable(
            path=path,
            spec=spec,
            inputs=inputs,
            training=split == "train",
            seed=self.seed,
            hidden=any(name not in inputs.texts for name in self.inputs.texts),
        )

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``text``, ``features`` and ``label`` of each row."""
        return self.table(folder, split, spec).named()


def _tokenizer(node: Mapping[str, Any] | None) -> TokenizerSource:
    if node is None:
        raise ConfigError(
            "data.tokenizer: texts need one; `${model.text.tokenizer}` is that of the text tower, "
            "`${model.language.tokenizer}` that of the language model that writes"
        )
    return build(node, expected=TokenizerSource, key="data.tokenizer")


def _held_out(values: Mapping[str, Any], sources: Sequence[Source]) -> dict[str, list[str]]:
    if values and any(one.split not in {None, "train"} for one in sources):
        raise ConfigError(
            "data.held_out: the source gives a split of its own; leave `data.source` its training rows"
        )
    return {name: _listed(value) for name, value in values.items()}


def _listed(value: Any) -> list[str]:
    return [str(one) for one in (value if isinstance(value, list | tuple) else [value])]


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer beside prepared rows."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder / TOKENIZER, trust_remote_code=False)
