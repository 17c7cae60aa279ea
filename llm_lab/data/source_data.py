"""What data modules over sources of rows have in common: what is read, what is kept, the tokenizer, the description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llm_lab.config import build, build_all
from llm_lab.data.annotations import Annotation, Annotator, Beside
from llm_lab.data.module import TOKENIZER, DataModule
from llm_lab.data.rejects import RejectLog
from llm_lab.data.shares import parse_fold
from llm_lab.data.source import Source
from llm_lab.data.spec import DataSpec, Problem
from llm_lab.data.tokenizer_report import tokenizer_report
from llm_lab.data.tokenizers import TokenizerSource
from llm_lab.data.transforms import Row, Transform, apply
from llm_lab.errors import ConfigError, DataError

TRANSFORMS = "transforms"  # folder of what annotators know, by name


class SourceData(DataModule):
    """Base of data modules whose rows come from sources and end in the tokens of one tokenizer.

    Args:
        sources: what is read.
        tokenizer: node of a `TokenizerSource`.
        licence: of the data.
        shares: of the splits that are made of rows without one.
        limit: most rows per split.
        max_rejected: share of unusable rows above which the run stops.
        max_length: most tokens of what the model gets at once.
        batch_size: see `DataModule`.
        seed: see `DataModule`.
        folds: of cross-validation: the rows that are not for testing are cut into so many parts by the same hash
            as the shares, and each is the validation split once; None takes the share.
        fold: number of the part, from 0.
        transforms: mapping from a name to a node of a `Transform`.

    Raises:
        ConfigError: a limit below 1, a fold that there is not, or a transform that does not suit the rows.
    """

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        tokenizer: Mapping[str, Any],
        licence: str,
        shares: Mapping[str, float],
        limit: int | None,
        max_rejected: float,
        max_length: int,
        batch_size: int,
        seed: int,
        folds: int | None = None,
        fold: int = 0,
        transforms: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        if limit is not None and limit < 1:
            raise ConfigError(f"data.limit: at least 1 is wanted, found {limit}")
        self.sources, self.licence, self.shares = sources, licence, shares
        self.limit, self.max_rejected, self.max_length = limit, max_rejected, max_length
        self.tokenizer: TokenizerSource = build(tokenizer, expected=TokenizerSource, key="data.tokenizer")
        self.fold = parse_fold(fold, folds)
        self.transform_nodes = dict(transforms or {})
        self.transforms: Mapping[str, Transform] = build_all(
            self.transform_nodes, expected=Transform, key="data.transforms"
        )
        for name, one in self.transforms.items():
            if why := self.refused(one):
                raise ConfigError(f"data.transforms.{name}: {type(one).__name__} {why}")
        self.beside = Beside.of(self.transforms)
        self.annotators = {name: one for name, one in self.transforms.items() if isinstance(one, Annotator)}
        self.changing = {name: one for name, one in self.transforms.items() if name not in self.annotators}

    def refused(self, transform: Transform) -> str | None:
        """Why a transform does not suit the rows; None where it does."""
        beside = isinstance(transform, Annotator)
        return "tells of places in a text, which these rows have no room for" if beside else None

    @property
    def variation(self) -> dict[str, Any]:
        """The part of the recipe that says which fold is validated and how rows are changed."""
        fold = {"fold": self.fold} if self.fold else {}
        return fold | ({"transforms": self.transform_identity()} if self.transforms else {})

    def transform_identity(self) -> list[Any]:
        """What the transforms do depends on; empty without any."""
        beside = [found for one in self.transforms.values() if (found := one.identity()) is not None]
        return [self.transform_nodes, self.seed, *beside] if self.transforms else []

    def transformed(self, text: str, split: str, key: int) -> str:
        """The text of a row of a split after the transforms that change texts; the key seeds their chance."""
        row = {"text": text, "split": split}
        return str(apply(self.changing, row, seed=(self.seed, key))["text"])

    def annotations(self, row: Row) -> list[Annotation]:
        """What annotators know of the texts of a row."""
        found: list[Annotation] = apply(self.annotators, row, seed=(self.seed, 0)).get("annotations", [])
        return found

    def save_transforms(self, folder: Path) -> None:
        """Write what annotators know into the prepared folder: it goes with a model that was trained with them."""
        for name, one in self.annotators.items():
            (folder / TRANSFORMS / name).mkdir(parents=True)
            one.save(folder / TRANSFORMS / name)

    @property
    def uris(self) -> list[str]:
        """Of the sources."""
        return [source.uri for source in self.sources]

    def check_rejects(self, rejects: RejectLog, *, rows: int, folder: Path, fingerprint: str) -> None:
        """Stop where too many of so many rows were rejected; their list then lies beside ``folder``."""
        keep = folder.parent / f"{fingerprint}.rejected.jsonl"
        rejects.check(rows=rows, most=self.max_rejected, keep=keep)

    def check_fold(self, sizes: Mapping[str, int]) -> None:
        """Stop where a fold left nothing to validate or to train on."""
        if self.fold and not (sizes.get("val") and sizes.get("train")):
            raise DataError(
                f"data.folds: of {sum(sizes.values())} rows none falls to fold {self.fold[0]}, or none is left "
                f"beside it; {self.fold[1]} folds are too many for so few rows"
            )

    def save_tokenizer(self, folder: Path, texts: Callable[[], Iterator[str]]) -> Any:
        """Write the tokenizer beside the rows, trained on ``texts`` where it is to be, and load it.

        Raises:
            DataError: it is to be trained, and there are no texts.
        """
        from transformers import AutoTokenizer

        self.tokenizer.save(folder / TOKENIZER, lambda: self._some(texts()))
        return AutoTokenizer.from_pretrained(folder / TOKENIZER, trust_remote_code=False)

    def _some(self, texts: Iterator[str]) -> Iterator[str]:
        first = next(texts, None)
        if first is None:
            raise DataError(
                f"a tokenizer is to be trained, and there are no training rows in {', '.join(self.uris)}"
            )
        yield first
        yield from texts

    def described(
        self,
        *,
        problem: Problem,
        sizes: Mapping[str, int],
        longest: int,
        fingerprint: str,
        columns: Mapping[str, Any],
        tokenizer: Any,
        sample: Iterable[str],
        facts: Mapping[str, Any],
        labels: tuple[str, ...] = (),
        class_counts: tuple[int, ...] = (),
    ) -> DataSpec:
        """The description of the prepared data; ``sample`` are texts that the tokenizer is judged by."""
        self.check_fold(sizes)
        return DataSpec(
            problem=problem,
            labels=labels,
            sizes=sizes,
            class_counts=class_counts,
            tokenizer=Path(TOKENIZER),
            max_length=longest,
            fingerprint=fingerprint,
            summary={
                "licence": self.licence,
                "columns": columns,
                "truncated_at": self.max_length,
                "transforms": self.transform_nodes,
                "seed": self.seed,
                "sources": self.uris,
                **facts,
                "tokenizer": tokenizer_report(tokenizer, sample),
                "pad_id": tokenizer.pad_token_id or 0,
            },
        )
