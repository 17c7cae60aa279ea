"""Staged sentences cut into tokens, a file per split, and what there is of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from llm_lab.data.alignment import Aligned, Aligner
from llm_lab.data.annotations import Annotation
from llm_lab.data.progress import progress
from llm_lab.data.source import SPLITS
from llm_lab.data.staging import KEPT, Staging
from llm_lab.data.tagged import aligned_columns, tag_writer

CHUNK = 512  # sentences that are tokenized together
Changed = Callable[[list[str], list[str], str, int], tuple[list[str], list[str]]]
"""Words, tags, split and key of a sentence to its words and tags."""
Known = Callable[[str, list[str]], list[Annotation]]
"""What is known about the words of a sentence of a split."""


@dataclass(kw_only=True)
class TagCounts:
    """Sentences, tokens and sentences cut into windows per split, training words per tag, the longest window."""

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


def write_tags(
    staging: Staging,
    folder: Path,
    names: Sequence[str],
    aligner: Aligner,
    *,
    changed: Changed,
    known: Known,
    beside: Sequence[str] = (),
) -> TagCounts:
    """Write an Arrow file per split that has rows.

    Args:
        staging: the sentences.
        folder: where the files are made.
        names: of the tags.
        aligner: cuts words into tokens.
        changed: words and tags of a sentence after the transforms.
        known: annotations of a sentence.
        beside: columns that they fill.
    """
    number = {name: index for index, name in enumerate(names)}
    kept = staging.count(KEPT)
    counts = TagCounts()
    for split in (split for split in SPLITS if kept.get(split)):
        rows = iter(progress(staging.rows(split), f"tokenizing {split}", kept[split]))
        with tag_writer(folder / f"{split}.arrow", beside=beside) as writer:
            while chunk := list(islice(rows, CHUNK)):
                told = [
                    changed(json.loads(values["words"]), json.loads(label), split, key)
                    for key, values, label in chunk
                ]
                words = [one for one, _ in told]
                tags = [[number[tag] for tag in one] for _, one in told]
                aligned = list(aligner.align(words, [known(split, row) for row in words]))
                writer.add({"tokens": words, "tags": tags, **aligned_columns(aligned, beside=beside)})
                counts.add(split, aligned, tags)
    return counts
