"""Tags for words over files of tagged sentences: names of people and places in CoNLL, JSON lines, hub sets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from llm_lab.data.alignment import Aligner
from llm_lab.data.annotations import Annotation, Annotator
from llm_lab.data.columns import CleanRow
from llm_lab.data.entity_kinds import kinds_of, places_of
from llm_lab.data.module import TOKENIZER
from llm_lab.data.progress import progress
from llm_lab.data.readers import identity
from llm_lab.data.record import Rejected
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.sentences import SentenceReader
from llm_lab.data.settle import Policy, settle
from llm_lab.data.shares import parse_shares
from llm_lab.data.source import parse_sources
from llm_lab.data.source_data import SourceData
from llm_lab.data.spec import DataSpec
from llm_lab.data.staging import Staging
from llm_lab.data.tag_tokens import write_tags
from llm_lab.data.tagged import TagTable
from llm_lab.data.tags import tag_names
from llm_lab.data.transforms import Transform, WordTransform, apply
from llm_lab.errors import DataError

FORMAT = 2  # of the prepared folder; a change makes old folders unknown


class TokenClassificationData(SourceData):
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
        folds: see `SourceData`.
        fold: see `SourceData`.
        conflicts: what becomes of equal sentences with different tags in one split.
        duplicates: what becomes of equal sentences with equal tags in one split.
        leaks: what becomes of sentences that stand in a later split too.
        limit: most sentences per split.
        max_rejected: share of unusable sentences above which the run stops.
        max_length: most tokens that the model gets at once: longer sentences are cut into windows.
        stride: tokens that a window repeats of the one before it; None for a quarter of ``max_length``.
        transforms: mapping from a name to a node of a `WordTransform`, whose words take their tags along, or of an
            ``llm_lab.data.annotations.Annotator``.
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
        folds: int | None = None,
        fold: int = 0,
        conflicts: Literal["drop", "keep"] = "drop",
        duplicates: Literal["drop", "keep"] = "drop",
        leaks: Literal["drop", "keep", "error"] = "drop",
        limit: int | None = None,
        max_rejected: float = 0.1,
        max_length: int = 128,
        stride: int | None = None,
        transforms: Mapping[str, Any] | None = None,
        batch_size: int = 32,
        seed: int = 42,
    ) -> None:
        super().__init__(
            sources=parse_sources(source, format=format, encoding=encoding),
            tokenizer=tokenizer,
            licence=licence,
            shares=parse_shares(split, default={}),
            folds=folds,
            fold=fold,
            limit=limit,
            max_rejected=max_rejected,
            max_length=max_length,
            transforms=transforms,
            batch_size=batch_size,
            seed=seed,
        )
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
        self.policy = Policy(conflicts=conflicts, duplicates=duplicates, leaks=leaks, limit=limit)
        self.stride = stride

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
            **self.variation,
        }

    def make(self, folder: Path, fingerprint: str) -> DataSpec:
        """Read, settle, name the tags, tokenize."""
        staging = Staging(folder=folder, shares=self.shares, fold=self.fold)
        try:
            self.save_transforms(folder)
            read = self._ingest(staging, folder, fingerprint)
            settled = settle(staging, self.policy)
            kinds, warnings = kinds_of(places_of(staging), self.reader.labels)
            names = tag_names(kinds, self.reader.scheme)
            tokenizer = self.save_tokenizer(folder, lambda: _training_texts(staging))
            sizes: dict[str, Any] = {
                "max_length": self.max_length,
                "stride": self.stride,
                "facts": self.beside.tokens,
            }
            aligner = Aligner(tokenizer=folder / TOKENIZER, **sizes)
            counts = write_tags(
                staging,
                folder,
                names,
                aligner,
                changed=self.changed,
                known=self.known,
                beside=self.beside.columns,
            )
            return self.described(
                problem="tokens",
                labels=names,
                sizes=dict(counts.sizes),
                class_counts=tuple(counts.tags[tag] for tag in range(len(names))),
                longest=counts.longest,
                fingerprint=fingerprint,
                columns={"text": "text", "unit": self.reader.unit},
                tokenizer=tokenizer,
                sample=(values["text"] for _, values, _ in staging.rows("train")),
                facts={
                    "stride": self.stride,
                    **read,
                    **settled,
                    "tokens": dict(counts.tokens),
                    "windowed": dict(counts.windowed),
                    "warnings": warnings,
                },
            )
        finally:
            staging.close()

    def refused(self, transform: Transform) -> str | None:
        """Whatever could part a word from its tag."""
        fits = isinstance(transform, WordTransform | Annotator)
        return None if fits else "changes texts, and each word has its tag; WordNoise and WordDropout keep it"

    def known(self, split: str, words: list[str]) -> list[Annotation]:
        """What the transforms say of the words of a sentence."""
        return self.annotations({"text": " ".join(words), "split": split})

    def table(self, folder: Path, split: str, spec: DataSpec) -> TagTable:
        """Tokens and tags of a split."""
        return TagTable(path=folder / f"{split}.arrow", spec=spec)

    def raw(self, folder: Path, split: str, spec: DataSpec) -> Iterator[dict[str, Any]]:
        """Yield ``tokens`` and ``tags`` of each sentence."""
        return self.table(folder, split, spec).named()

    def changed(self, words: list[str], tags: list[str], split: str, key: int) -> tuple[list[str], list[str]]:
        """The words of a sentence and their tags after the transforms; the key seeds their chance."""
        told = {"text": " ".join(words), "words": words, "tags": tags, "split": split}
        row = apply(self.changing, told, seed=(self.seed, key))
        return row["words"], row["tags"]

    def _ingest(self, staging: Staging, folder: Path, fingerprint: str) -> dict[str, Any]:
        """Stage the good sentences and list the bad ones.

        Raises:
            DataError: too many were rejected, or none is left.
        """
        rows: Counter[str] = Counter()
        with RejectLog(path=folder / NAME) as rejects:
            kept = staging.add(progress(self._rows(rejects, rows), "reading"))
        self.check_rejects(rejects, rows=rows.total(), folder=folder, fingerprint=fingerprint)
        if not kept:
            raise DataError(f"no sentence can be used: {', '.join(self.uris)}")
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


def _training_texts(staging: Staging) -> Iterator[str]:
    yield from (values["text"] for _, values, _ in staging.rows("train"))
