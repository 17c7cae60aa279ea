"""Tags for words over files of tagged sentences: names of people and places in CoNLL, JSON lines, hub sets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from llm_lab.config import build
from llm_lab.data.alignment import Aligned, Aligner
from llm_lab.data.columns import CleanRow
from llm_lab.data.module import TOKENIZER, DataModule
from llm_lab.data.progress import progress
from llm_lab.data.readers import identity
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.sentences import SentenceReader
from llm_lab.data.settle import Policy, settle
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import SPLITS, parse_sources
from llm_lab.data.spec import DataSpec
from llm_lab.data.staging import KEPT, Staging
from llm_lab.data.tagged import TagTable, aligned_columns, tag_writer
from llm_lab.data.tags import parts, tag_names
from llm_lab.data.tokenizer_report import tokenizer_report
from llm_lab.data.tokenizers import TokenizerSource
from llm_lab.errors import ConfigError, DataError

FORMAT = 2  # of the prepared folder; a change makes old folders unknown
CHUNK = 512  # sentences that are tokenized together
Places = dict[str, dict[str, str]]
"""Split -> type of entity -> where it first stands."""


class TokenClassificationData(DataModule):
    """Sentences whose words are tagged as parts of entities.

    Args:
        source: as for ``llm_lab.data.text_classification.TextClassificationData``.
        tokenizer: node of a ``llm_lab.data.tokenizers.TokenizerSource``; a fast one.
        licence: of the data, as the report shows it.
        format: ``conll`` (a word and its tag per line), ``peoples_daily`` (word/part of speech), ``path_questions``
            (questions with the path that answers them), or a table of sentences: ``json``, ``jsonl``, ``parquet``,
            ``hub``; None tells it from the suffix, ``conll`` for most.
        encoding: of text files.
        columns: ``tokens`` and ``tags``: numbers of the columns of a CoNLL file, from 0, or from the end where they
            are negative; names of columns otherwise.
        comment: what a line of a CoNLL file begins with that does not count.
        names: of tags that are numbers, in the order of these.
        labels: types of entities; None takes those that are found, and refuses one that training lacks.
        scheme_in: scheme of the files, ``BIO``, ``IOB1`` or ``BIOES``; None recognizes it.
        scheme: that the model learns.
        invalid: what becomes of a sentence whose tags break the scheme: read as conlleval reads it, or rejected.
        unit: what a tag is for: a ``word`` of the files or every ``character`` of it.
        split: shares of the sentences that go to ``val`` and ``test`` by a hash of their text, for splits that the
            source does not give.
        conflicts: what becomes of equal sentences with different tags in one split.
        duplicates: what becomes of equal sentences with equal tags in one split.
        leaks: what becomes of sentences that stand in a later split too.
        limit: most sentences per split.
        max_rejected: share of unusable sentences above which the run stops.
        max_length: most tokens that the model gets at once: longer sentences are cut into windows.
        stride: tokens that a window repeats of the one before it; None for a quarter of ``max_length``.
        batch_size: sentences per micro-batch and rank.
        seed: of the order of the batches.
    """

    def __init__(  # noqa: PLR0913 - the signature is the schema
        self,
        *,
        source: str | Mapping[str, Any],
        tokenizer: Mapping[str, Any],
        licence: str,
        format: str | None = None,  # noqa: A002 - the user's word
        encoding: str = "utf-8",
        columns: Mapping[str, Any] | None = None,
        comment: str | None = None,
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        scheme_in: Literal["BIO", "IOB1", "BIOES"] | None = None,
        scheme: Literal["BIO", "BIOES"] = "BIO",
        invalid: Literal["repair", "reject"] = "repair",
        unit: Literal["word", "character"] = "word",
        split: Mapping[str, float] | None = None,
        conflicts: Literal["drop", "keep"] = "drop",
        duplicates: Literal["drop", "keep"] = "drop",
        leaks: Literal["drop", "keep", "error"] = "drop",
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 128,
        stride: int | None = None,
        batch_size: int = 32,
        seed: int = 42,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        if limit is not None and limit < 1:
            raise ConfigError(f"data.limit: at least 1 is wanted, found {limit}")
        self.sources = parse_sources(source, format=format, encoding=encoding)
        self.reader = SentenceReader(
            **{"tokens": 0, "tags": -1, **(columns or {})},
            comment=comment,
            names=names,
            labels=labels,
            scheme_in=scheme_in,
            scheme=scheme,
            unit=unit,
            invalid=invalid,
        )
        self.shares = parse_shares(split, default={})
        self.policy = Policy(conflicts=conflicts, duplicates=duplicates, leaks=leaks, limit=limit)
        self.licence, self.max_rejected = licence, max_rejected
        self.max_length, self.stride = max_length, stride
        self.tokenizer: TokenizerSource = build(tokenizer, expected=TokenizerSource, key="data.tokenizer")

    def recipe(self) -> Mapping[str, Any]:
        """Return what the tokens depend on: sources' contents, how they are read, splits, tokenizer."""
        return {
            "format": ["tokens", FORMAT],
            "sources": [identity(source) for source in self.sources],
            "reader": {
                name: list(value) if name in {"names", "labels"} and value else value
                for name, value in vars(self.reader).items()
            },
            "shares": self.shares,
            "policy": vars(self.policy),
            "tokenizer": self.tokenizer.identity(),
            "windows": [self.max_length, self.stride],
            "shown": [self.licence, self.max_rejected],
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, settle, name the tags, tokenize."""
        from transformers import AutoTokenizer

        staging = Staging(folder=folder, shares=self.shares)
        try:
            read = self._ingest(staging, folder, keep=folder.parent / f"{fingerprint}.rejected.jsonl")
            settled = settle(staging, self.policy)
            kinds, warnings = self._kinds(_places(staging))
            names = tag_names(kinds, self.reader.scheme)
            counts = self._tokenize(staging, folder, names)
            tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, trust_remote_code=False)
            report = tokenizer_report(tokenizer, (values["text"] for _, values, _ in staging.rows("train")))
        finally:
            staging.close()
        return DataSpec(
            problem="tokens",
            labels=names,
            tokenizer=Path(TOKENIZER),
            fingerprint=fingerprint,
            sizes=dict(counts.sizes),
            class_counts=tuple(counts.tags[tag] for tag in range(len(names))),
            max_length=counts.longest,
            summary={
                "licence": self.licence,
                "columns": {"text": "text", "unit": self.reader.unit},
                "truncated_at": self.max_length,
                "stride": self.stride,
                "sources": [source.uri for source in self.sources],
                **read,
                **settled,
                "tokenizer": report,
                "tokens": dict(counts.tokens),
                "windowed": dict(counts.windowed),
                "pad_id": counts.pad_id,
                "warnings": warnings,
            },
        )

    def table(self, folder: Path, split: str, spec: DataSpec) -> TagTable:
        """Tokens and tags of a split."""
        return TagTable(path=folder / f"{split}.arrow", spec=spec)

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``tokens`` and ``tags`` of each sentence."""
        return self.table(folder, split, spec).named()

    def _ingest(self, staging: Staging, folder: Path, *, keep: Path) -> dict[str, Any]:
        """Stage the good sentences and list the bad ones.

        Raises:
            DataError: too many were rejected, or none is left.
        """
        rows: Counter[str] = Counter()
        with RejectLog(path=folder / NAME) as rejects:
            kept = staging.add(progress(self._rows(rejects, rows), "reading"))
        rejects.check(rows=rows.total(), most=self.max_rejected, keep=keep)
        if not kept:
            raise DataError(f"no sentence can be used: {', '.join(source.uri for source in self.sources)}")
        return {"rows": rows.total(), "rejected": rejects.summary()}

    def _rows(self, rejects: RejectLog, rows: Counter[str]) -> Iterator[CleanRow]:
        for source in self.sources:
            for sentence in self.reader.read(source, licence=self.licence):
                rows[source.name] += 1
                if isinstance(sentence, Rejected):
                    rejects.add(sentence)
                    continue
                words = json.dumps(sentence.words, ensure_ascii=False)
                values = {"text": " ".join(sentence.words), "words": words, "place": sentence.place}
                yield CleanRow(values, json.dumps(sentence.tags, ensure_ascii=False), source.split)

    def _kinds(self, places: Places) -> tuple[list[str], list[str]]:
        """Types of entities in the order of the outputs, and what is odd about them.

        Raises:
            DataError: a type that training lacks stands in another split, and the configuration does not list it.
        """
        trained = places.get("train", {})
        others = {kind: place for split in ("val", "test") for kind, place in places.get(split, {}).items()}
        if self.reader.labels is not None:
            missing = [kind for kind in self.reader.labels if trained and kind not in trained]
            return list(self.reader.labels), [f"no training sentence has a `{kind}`" for kind in missing]
        unseen = [f"`{kind}` ({place})" for kind, place in others.items() if kind not in trained]
        if trained and unseen:
            raise DataError(
                f"no training sentence has {', '.join(unseen)}; data.labels lists what may be missing"
            )
        if not trained | others:
            raise DataError(
                "no word is tagged as part of an entity: there is nothing to learn; see data.columns.tags"
            )
        return sorted(trained | others), []

    def _tokenize(self, staging: Staging, folder: Path, names: Sequence[str]) -> TagCounts:
        """Write the tokenizer and an Arrow file per split that has rows."""
        self.tokenizer.save(folder / TOKENIZER, lambda: _training_texts(staging))
        aligner = Aligner(tokenizer=folder / TOKENIZER, max_length=self.max_length, stride=self.stride)
        number = {name: index for index, name in enumerate(names)}
        kept = staging.count(KEPT)
        counts = TagCounts(pad_id=aligner.pad_id)
        for split in (split for split in SPLITS if kept.get(split)):
            rows = iter(progress(staging.rows(split), f"tokenizing {split}", kept[split]))
            with tag_writer(folder / f"{split}.arrow") as writer:
                while chunk := list(islice(rows, CHUNK)):
                    words = [json.loads(values["words"]) for _, values, _ in chunk]
                    tags = [[number[tag] for tag in json.loads(label)] for _, _, label in chunk]
                    aligned = list(aligner.align(words))
                    writer.add({"tokens": words, "tags": tags, **aligned_columns(aligned)})
                    counts.add(split, aligned, tags)
        return counts


@dataclass(kw_only=True)
class TagCounts:
    """Sentences, tokens and sentences cut into windows per split, training words per tag, the longest window."""

    pad_id: int
    sizes: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    windowed: Counter[str] = field(default_factory=Counter)
    tags: Counter[int] = field(default_factory=Counter)
    longest: int = 0

    def add(self, split: str, aligned: Sequence[Aligned], tags: Sequence[Sequence[int]]) -> None:
        """Count some sentences."""
        self.sizes[split] += len(aligned)
        self.tokens[split] += sum(len(row.input_ids) for row in aligned)
        self.windowed[split] += sum(len(row.windows) > 1 for row in aligned)
        self.longest = max(self.longest, *(max(row.windows) for row in aligned))
        if split == "train":
            self.tags.update(tag for row in tags for tag in row)


def _places(staging: Staging) -> Places:
    """Where each type of entity first stands in each split, whatever a limit leaves of it."""
    found: Places = {}
    rows = staging.execute(
        "SELECT split, label, content FROM row JOIN body USING (id) WHERE fate IS NULL OR fate = 'limit'"
    )
    for split, label, content in rows:
        known = found.setdefault(split, {})
        for kind in {parts(tag)[1] for tag in json.loads(label)} - {"", *known}:
            known[kind] = json.loads(content)["place"]
    return found


def _training_texts(staging: Staging) -> Iterator[str]:
    empty = True
    for _, values, _ in staging.rows("train"):
        empty = False
        yield values["text"]
    if empty:
        raise DataError("a tokenizer is to be trained, and there are no training sentences")
