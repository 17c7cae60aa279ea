"""Write settled rows: cells encoded, a file per split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_lab.data.module import TOKENIZER
from llm_lab.data.multimodal.ingest import CELLS, FILES
from llm_lab.data.multimodal.inputs import Inputs
from llm_lab.data.multimodal.kind import MISSING, CellKind
from llm_lab.data.multimodal.table import SHOWN, row_writer
from llm_lab.data.multimodal.transcripts import WRITTEN, encode
from llm_lab.data.pair_rows import text_id
from llm_lab.data.progress import progress
from llm_lab.data.source import SPLITS
from llm_lab.data.spec import SAME
from llm_lab.data.staging import KEPT, Staging
from llm_lab.data.targets import Targets
from llm_lab.data.tokenizer_report import tokenizer_report

if TYPE_CHECKING:
    from llm_lab.data.multimodal.module import MultimodalData

CHUNK = 512


@dataclass(kw_only=True)
class Written:
    """Rows per split, tokens of the longest text, and facts for the report."""

    sizes: dict[str, int]
    longest: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def write_rows(data: MultimodalData, staging: Staging, folder: Path, targets: Targets) -> Written:
    """Fit what is to be fitted, write the tokenizer where there are texts, and an Arrow file per split."""
    kept = staging.count(KEPT)
    written = Written(sizes={split: kept[split] for split in SPLITS if kept.get(split)})
    data.fit_inputs(staging)
    tokenizer = _prepare_texts(data, staging, folder, written)
    lost = dict.fromkeys(data.written.kinds, 0)
    for split, size in written.sizes.items():
        rows = progress(_decoded(staging, split), f"writing {split}", size)
        with row_writer(folder / f"{split}.arrow", data.written, data.problem) as writer:
            while chunk := list(islice(rows, CHUNK)):
                columns = _columns(chunk, data.written, targets, tokenizer)
                writer.add(columns)
                for name in lost:
                    lost[name] += sum(_lacks(values[name]) for values, _ in chunk)
                texts = [columns[name] for name in data.written.texts]
                if data.problem == "transcript":
                    longest = max([written.facts.get("longest_target", 0), *map(len, columns["label"])])
                    written.facts["longest_target"] = longest
                written.longest = max([written.longest, *(len(row) for one in texts for row in one)])
    written.facts["missing"] = {name: count for name, count in lost.items() if count}
    return written


def _prepare_texts(data: MultimodalData, staging: Staging, folder: Path, written: Written) -> Any:
    """Write the tokenizer, trained on inputs and targets that are texts, and load it; None where there are none."""
    written.facts["pad_id"] = 0
    worded = data.written.texts or data.problem == "transcript"
    if data.tokenizer is None or not worded:
        return None
    from llm_lab.data.multimodal.module import load_tokenizer

    def texts(split: str = "train") -> Iterator[str]:
        for values, label in _decoded(staging, split):
            yield from (values[name] for name in data.written.texts if values[name] is not None)
            if data.problem == "transcript":
                yield label

    data.tokenizer.save(folder / TOKENIZER, texts)
    tokenizer = load_tokenizer(folder)
    for kind in data.written.texts.values():
        kind.tokenizer, kind.max_length = tokenizer, data.max_length
    written.facts["pad_id"] = tokenizer.pad_token_id or 0
    written.facts["tokenizer"] = tokenizer_report(tokenizer, texts(next(iter(written.sizes))))
    return tokenizer


def _decoded(staging: Staging, split: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    for _, values, label in staging.rows(split):
        yield json.loads(values[CELLS]), label


def _columns(
    chunk: list[tuple[Mapping[str, Any], str]], inputs: Inputs, targets: Targets, tokenizer: Any
) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {SHOWN: []}
    if targets.problem == "transcript":
        columns[WRITTEN] = [label for _, label in chunk]
        columns["label"] = [encode(label, tokenizer) for _, label in chunk]
    elif targets.problem != "modalities":
        columns["label"] = [targets.encode(label) for _, label in chunk]
    for name, kind in inputs.kinds.items():
        cells = [values[name] for values, _ in chunk]
        columns[name] = [kind.encode(cell) for cell in cells] if isinstance(kind, CellKind) else cells
    if inputs.same:
        columns[SAME] = [text_id(values[SAME]) for values, _ in chunk]
    columns[SHOWN] = [shown(values, inputs) for values, _ in chunk]
    return columns


def shown(values: Mapping[str, Any], inputs: Inputs) -> str:
    """What a reader of the report sees of a row: its texts, else what there is of numbers, categories and files."""
    if texts := [values[name] for name in inputs.texts if values[name]]:
        return "\n".join(texts)
    cells = [kind.shown(values[name]) for name, kind in inputs.cells.items()]
    return "; ".join(filter(None, [*cells, *values[FILES].values()]))


def _lacks(cell: Any) -> bool:
    return cell is None or cell == MISSING
