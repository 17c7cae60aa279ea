"""From sources to a stream of tokens per split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_lab.data.columns import CleanRow
from llm_lab.data.corpus.duplicates import remove_exact, remove_near
from llm_lab.data.corpus.pairs import sentences
from llm_lab.data.corpus.sources import documents
from llm_lab.data.corpus.stream import StreamWriter
from llm_lab.data.module import TOKENIZER
from llm_lab.data.progress import progress
from llm_lab.data.record import Rejected, UnusableError
from llm_lab.data.rejects import NAME, RejectLog
from llm_lab.data.source import SPLITS
from llm_lab.data.staging import Staging
from llm_lab.data.text_files import check_text
from llm_lab.data.tokenizer_report import tokenizer_report
from llm_lab.data.transforms import apply
from llm_lab.errors import DataError

if TYPE_CHECKING:
    from llm_lab.data.corpus.module import CorpusData

MOST_UNKNOWN = 0.2  # share of unknown tokens above which a tokenizer does not fit the corpus
PIECE = 1 << 16  # characters of a document that are tokenized together


def gather(data: CorpusData, staging: Staging, folder: Path, *, keep: Path) -> dict[str, Any]:
    """Read every document, divide them, take duplicates out; return the counts that the report shows.

    Raises:
        DataError: no document, or too many that cannot be used.
    """
    counts: Counter[str] = Counter()
    with RejectLog(path=folder / NAME) as rejects:
        kept = staging.add(progress(_clean(data, rejects, counts), "reading"))
    if counts:
        rejects.check(rows=counts.total(), most=data.max_rejected, keep=keep)
    if not kept:
        told = ", ".join(one.source.uri for one in data.sources)
        raise DataError(f"data.source: the corpus is empty, no document with text in {told}")
    staging.divide()
    exact = remove_exact(staging) if data.duplicates == "drop" else 0
    near = remove_near(staging, threshold=data.near_duplicates) if data.near_duplicates else {"total": 0}
    if data.limit:
        staging.execute(
            "UPDATE row SET fate = 'limit' WHERE id NOT IN (SELECT id FROM (SELECT id, ROW_NUMBER() OVER "
            "(PARTITION BY split ORDER BY same) AS place FROM row WHERE fate IS NULL) WHERE place <= ?)",
            data.limit,
        )
    return {
        "rows": counts.total(),
        "documents": dict(counts),
        "rejected": rejects.summary(),
        "duplicates": exact,
        "near_duplicates": near,
    }


def _clean(data: CorpusData, rejects: RejectLog, counts: Counter[str]) -> Iterator[CleanRow]:
    for one in data.sources:
        for record in documents(one, licence=data.licence):
            counts[one.name] += 1
            if isinstance(record, Rejected):
                rejects.add(record)
                continue
            text = record.values["text"]
            try:
                _check(text)
            except UnusableError as error:
                rejects.add(Rejected(record.file, record.line, error.reason, error.detail))
            else:
                yield CleanRow({"text": text}, one.name, record.values.get("split", one.source.split))


def _check(text: Any) -> None:
    if not isinstance(text, str):
        raise UnusableError("text is not a string", text)
    check_text(text)


def lay_out(data: CorpusData, staging: Staging, folder: Path) -> dict[str, Any]:
    """Write the tokenizer and the stream of each split; return facts about both.

    Raises:
        DataError: no training text for a tokenizer, or one that does not know the corpus.
    """
    from transformers import AutoTokenizer

    data.tokenizer.save(folder / TOKENIZER, lambda: _training_texts(data, staging))
    tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, trust_remote_code=False)
    report = tokenizer_report(tokenizer, (text for text, _ in _texts(data, staging, "train")))
    if report["unknown"] > MOST_UNKNOWN:
        raise DataError(
            f"model.tokenizer: {report['unknown']:.0%} of the tokens of {data.sources[0].source.uri} are unknown to "
            "it: take one of the corpus's language, or train one"
        )
    tokens: dict[str, dict[str, int]] = {}
    characters: Counter[str] = Counter()
    for split in SPLITS:
        with StreamWriter(folder=folder, split=split) as writer:
            count: Counter[str] = Counter()
            for text, source in progress(_texts(data, staging, split), f"tokenizing {split}"):
                characters[source] += len(text)
                count[source] += writer.add(_ids(data, tokenizer, text), source=source)
        if count.total():
            tokens[split] = dict(count)
        else:
            (folder / f"{split}.tokens").unlink()
            (folder / f"{split}.starts.npz").unlink()
    marks = (tokenizer.pad_token_id or 0, tokenizer.cls_token_id, tokenizer.sep_token_id)
    if data.layout == "sentence_pairs" and None in marks:
        raise DataError("data.layout: sentence_pairs needs a tokenizer with [CLS] and [SEP]")
    return {
        "tokenizer": report,
        "characters": {"total": characters.total(), **characters},
        "tokens_by_source": tokens,
        "tokens": {split: sum(counts.values()) for split, counts in tokens.items()},
        "pad_id": marks[0],
        "marks": marks,
        "special_ids": tokenizer.all_special_ids,
    }


def _ids(data: CorpusData, tokenizer: Any, text: str) -> list[list[int]]:
    """Token numbers of a document: sentence by sentence, or as one with the template's tokens around it.

    Where the template has none, the tokenizer's mark of the end closes a document.
    """
    options = {"verbose": False, "return_attention_mask": False}
    if data.layout == "sentence_pairs":
        parts = sentences(text)
        return list(tokenizer(parts, add_special_tokens=False, **options)["input_ids"]) if parts else []
    parts = [text[place : place + PIECE] for place in range(0, len(text), PIECE)]
    found = tokenizer(parts, add_special_tokens=False, **options)["input_ids"]
    ids = [number for part in found for number in part]
    before, behind = _around(tokenizer)
    return [[*before, *ids, *behind]]


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Tokens that the template puts in front of a text and behind it."""
    inner, whole = (tokenizer("a", add_special_tokens=told)["input_ids"] for told in (False, True))
    place = next(place for place in range(len(whole)) if whole[place : place + len(inner)] == inner)
    before, behind = whole[:place], whole[place + len(inner) :]
    if not before and not behind and tokenizer.eos_token_id is not None:
        behind = [tokenizer.eos_token_id]
    return before, behind


def _texts(data: CorpusData, staging: Staging, split: str) -> Iterator[tuple[str, str]]:
    """Yield text after the transforms, and source, of every document of a split."""
    for key, text, source in _by_position(data, staging, split) if data.tail else _by_split(staging, split):
        row = apply(data.transforms, {"text": text, "label": source, "split": split}, seed=(data.seed, key))
        yield row["text"], source


def _by_split(staging: Staging, split: str) -> Iterator[tuple[int, str, str]]:
    for key, values, source in staging.rows(split):
        yield key, values["text"], source


def _by_position(data: CorpusData, staging: Staging, split: str) -> Iterator[tuple[int, str, str]]:
    """The training text in front, then the validation split, then the test split; a document may be cut."""
    total = sum(len(text) for _, text, _ in _by_split(staging, "train"))
    shares = [1 - sum(data.shares.values()), data.shares.get("val", 0), data.shares.get("test", 0)]
    bounds = [0, int(total * shares[0]), int(total * (shares[0] + shares[1])), total]
    if not shares[2]:
        bounds[2] = total
    number = SPLITS.index(split)
    low, high = bounds[number], bounds[number + 1]
    place = 0
    for key, text, source in _by_split(staging, "train"):
        part = text[max(0, low - place) : max(0, high - place)]
        place += len(text)
        if part:
            yield key, part, source


def _training_texts(data: CorpusData, staging: Staging) -> Iterator[str]:
    texts = (text for text, _ in _texts(data, staging, "train"))
    first = list(islice(texts, 1))
    if not first:
        raise DataError("a tokenizer is to be trained, and there are no training documents")
    yield from first
    yield from texts
