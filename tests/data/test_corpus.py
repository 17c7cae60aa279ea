"""Corpora: documents become blocks, and nothing is lost, seen twice or looked at across documents."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from llm_lab.data.corpus.module import CorpusData
from llm_lab.data.corpus.pairs import PairTable, sentences
from llm_lab.data.corpus.prepare import _around
from llm_lab.data.corpus.stream import Stream, StreamWriter
from llm_lab.data.corpus.tables import NONE, BlockTable, PieceTable
from llm_lab.data.order import Cut
from llm_lab.errors import ConfigError, DataError
from tests.data.conftest import WORDS
from tests.data.test_resume import fit

TOKENIZER = {
    "_target_": "llm_lab.data.tokenizers.Trained",
    "kind": "byte_bpe",
    "vocab_size": 300,
    "template": "eos",
}
BERT = {"_target_": "llm_lab.data.tokenizers.Trained", "kind": "wordpiece", "vocab_size": 200}
OF_CHINESE = {**BERT, "kind": "character", "vocab_size": 6}  # knows one character
Corpus = Callable[..., CorpusData]


def prose(seed: int, words: int = 60) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(WORDS) + "." * (chance.random() < 0.2) for _ in range(words))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))

    def make(**options: Any) -> CorpusData:
        texts = options.pop("texts", None)
        for name, lines in ({"a.txt": texts} if isinstance(texts, list) else texts or {}).items():
            (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        options = {"source": f"file://{tmp_path}/a.txt", "document": "line", "max_length": 16, **options}
        return CorpusData(**{"licence": "test", "tokenizer": TOKENIZER, "batch_size": 4, **options})

    return make


def stream(folder: Path, sizes: list[int]) -> Stream:
    with StreamWriter(folder=folder, split="train") as writer:
        for number, size in enumerate(sizes):
            writer.add([range(1000 * number, 1000 * number + size)], source="one")
    return Stream(folder=folder, split="train")


def everything(table: Any, epoch: int = 0) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in table.batch(np.arange(len(table)), epoch).items()}


OPTIONS: dict[str, Any] = {"pad_id": 7, "special": [7], "next_token": True}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(8, 16), st.integers(0, 3))
def test_blocks_see_each_token_once_and_predict_within_documents(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], length: int, epoch: int
) -> None:
    sizes = [*sizes, length]
    tokens = stream(tmp_path_factory.mktemp("s"), sizes)
    for seed in (1, None):
        table = BlockTable(stream=tokens, length=length, seed=seed, **OPTIONS)
        batch = everything(table, epoch)
        real = batch.get("attention_mask", np.ones_like(batch["input_ids"])) == 1
        seen = Counter(batch["input_ids"][real].tolist())
        assert max(seen.values()) == 1
        assert sum(sizes) - len(seen) < (length if seed else 1)
        asked = batch["labels"] != NONE
        assert (batch["labels"] == batch["input_ids"] + 1)[asked].all()
        ends = {1000 * number + size - 1 for number, size in enumerate(sizes)}
        assert set(batch["input_ids"][real & ~asked].tolist()) == ends & set(seen)
        assert (table.weights(np.arange(len(table)), epoch) == asked.sum(1)).all()
        assert (table.lengths(np.arange(len(table))) == real.sum(1)).all()
        segments = batch.get("segments", real.astype(int))
        document = batch["input_ids"] // 1000
        same = (segments[:, 1:] == segments[:, :-1]) & real[:, 1:]
        assert (document[:, 1:] == document[:, :-1])[same].all()
        assert (np.diff(batch["position_ids"], axis=1) == 1)[same].all()
        assert (batch["position_ids"][:, 1:] == 0)[~same].all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), min_size=2, max_size=3),
    st.integers(8, 12),
    st.integers(0, 5),
)
def test_targets_are_counted_as_they_are_in_a_batch(
    tmp_path_factory: pytest.TempPathFactory, sources: list[list[int]], length: int, epoch: int
) -> None:
    folder = tmp_path_factory.mktemp("s")
    with StreamWriter(folder=folder, split="train") as writer:
        for name, sizes in enumerate(sources):
            for size in [*sizes, length]:
                writer.add([[2, *range(10, 8 + size), 3][:size]], source=str(name))
    tokens = Stream(folder=folder, split="train")
    shares = {str(name): 1 / len(sources) for name in range(len(sources))}
    for next_token in (True, False):
        common: dict[str, Any] = {"pad_id": 3, "special": [3, 2], "next_token": next_token}
        common |= {"stream": tokens, "length": length}
        for table in (
            BlockTable(**common),
            BlockTable(**common, seed=1),
            BlockTable(**common, seed=1, shares=shares),
            PieceTable(**common),
        ):
            batch = everything(table, epoch)
            asked = batch["labels"] != NONE if next_token else ~np.isin(batch["input_ids"], [2, 3])
            assert (table.weights(np.arange(len(table)), epoch) == asked.sum(1)).all()


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    table = BlockTable(stream=stream(tmp_path, [500]), length=16, seed=3, **OPTIONS)
    first, again, second = (everything(table, epoch)["input_ids"] for epoch in (0, 0, 1))
    assert (first == again).all()
    assert (first != second).any()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=9))
def test_pieces_hold_every_document_alone(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    table = PieceTable(stream=stream(tmp_path_factory.mktemp("s"), sizes), length=10, **OPTIONS)
    batch = everything(table)
    real = batch.get("attention_mask", np.ones_like(batch["input_ids"])) == 1
    assert sorted(batch["input_ids"][real].tolist()) == [
        1000 * number + place for number, size in enumerate(sizes) for place in range(size)
    ]
    assert "segments" not in batch
    assert (batch["labels"] != NONE).sum() == sum(sizes) - len(sizes)


def test_duplicates_go_and_what_differs_stays(corpus: Corpus) -> None:
    own = [prose(seed) for seed in range(40)]
    nearly = [text.replace("amber", "umber", 1) + " indeed" for text in own[:5]]
    data = corpus(texts=[*own, *(text.upper() for text in own[:3]), *nearly], split={"val": 0.2})
    summary = data.prepare().summary
    assert summary["duplicates"] == 3
    assert summary["near_duplicates"]["total"] == 5
    assert sum(sum(counts.values()) for counts in summary["tokens_by_source"].values()) > 0
    assert corpus(near_duplicates=None, split={"val": 0.2}).prepare().summary["near_duplicates"] == {
        "total": 0
    }


def test_packed_rows_are_not_padded_and_the_tokenizer_is_described(corpus: Corpus) -> None:
    data = corpus(texts=[prose(seed) for seed in range(40)])
    spec = data.prepare()
    assert spec.problem == "language"
    assert spec.summary["padding"]["train"] == 0
    assert spec.summary["tokenizer"]["unknown"] == 0
    assert spec.summary["tokenizer"]["unit"] == "word"
    batches = list(data.train_dataloader())
    assert sum(len(batch["index"]) for batch in batches) == spec.sizes["train"]
    assert all(batch["step_targets"] <= batch["labels"].numel() for batch in batches)
    assert next(data.rows("val"))["text"]


def test_a_source_has_its_share_of_an_epoch(corpus: Corpus, tmp_path: Path) -> None:
    texts = {"a.txt": [prose(s) for s in range(60)], "b.txt": [prose(100 + s) for s in range(10)]}
    source = {n: {"uri": f"file://{tmp_path}/{n}.txt", "weight": 0.5} for n in "ab"}
    data = corpus(texts=texts, source=source)
    spec = data.prepare()
    assert spec.summary["mixture"] == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.01)
    table = data.table(data._folder, "train", spec)
    assert isinstance(table, BlockTable)
    bound = table.stream.sources[1]
    half = len(table) // 2
    starts = np.concatenate([table.spans(np.arange(half), epoch).start for epoch in (0, 1)])
    assert (starts < bound).all()
    assert (table.spans(np.arange(half + 1, len(table)), 0).start >= bound).all()


def test_the_tail_is_the_end_of_the_text(corpus: Corpus) -> None:
    text = "".join(random.Random(1).choices("abc \n", k=2000)) + "x"
    tokenizer = {
        "_target_": "llm_lab.data.tokenizers.Trained",
        "kind": "character",
        "vocab_size": 50,
        "template": "none",
        "whitespace": True,
    }
    data = corpus(texts=[text], document="file", tail=True, split={"val": 0.1}, tokenizer=tokenizer)
    assert data.prepare().summary["tokens"] == {"train": 1800, "val": 201}
    table = data.table(data._folder, "val", data.spec)
    ids = np.concatenate([table.batch(np.array([row]), 0)["input_ids"][0] for row in range(len(table))])
    assert AutoTokenizer.from_pretrained(data.spec.tokenizer).decode(ids) == text[1800:-1] + "[UNK]"


def test_pairs_follow_or_do_not(corpus: Corpus) -> None:
    texts = [prose(seed, 80) for seed in range(60)]
    data = corpus(texts=texts, layout="sentence_pairs", tokenizer=BERT, max_length=48, next_token=False)
    spec = data.prepare()
    table = data.table(data._folder, "train", spec)
    rows = np.arange(len(table))
    first, again, second = (table.batch(rows, epoch) for epoch in (0, 0, 1))
    assert (first["input_ids"].shape == again["input_ids"].shape) and (
        first["input_ids"] == again["input_ids"]
    ).all()
    assert (first["pair_labels"] != second["pair_labels"]).any()
    assert 0.3 < first["pair_labels"].float().mean() < 0.7
    assert first["input_ids"].shape[1] <= 48
    for epoch, batch in ((0, first), (1, second)):
        assert (table.weights(rows, epoch) == batch["attention_mask"].sum(1).numpy() - 3).all()


@pytest.mark.parametrize("swap", [True, False])
def test_parts_of_a_pair_are_in_order_or_not(tmp_path: Path, *, swap: bool) -> None:
    with StreamWriter(folder=tmp_path, split="train") as writer:
        for number in range(20):
            first = 1000 * (number + 1)
            writer.add([range(first + 3 * part, first + 3 * part + 3) for part in range(6)], source="one")
    tokens = Stream(folder=tmp_path, split="train")
    table = PairTable(stream=tokens, length=24, marks=(0, 1, 2), swap=swap, seed=5)
    rows = np.arange(len(table))
    seen = set()
    for epoch in range(4):
        batch = table.batch(rows, epoch)
        assert (table.weights(rows, epoch) == batch["attention_mask"].sum(1).numpy() - 3).all()
        for row, kinds, label in zip(
            batch["input_ids"].tolist(), batch["token_type_ids"], batch["pair_labels"].tolist(), strict=True
        ):
            ids = [number for number in row if number]
            border = ids.index(2)
            one, two = ids[1:border], ids[border + 1 : -1]
            assert int(kinds.sum()) == len(two) + 1
            assert (ids[0], ids[-1]) == (1, 2)
            same = one[0] // 1000 == two[0] // 1000
            assert same == (swap or label == 0)
            if same:
                assert (two[0] == one[-1] + 1) if label == 0 else (one[0] == two[-1] + 1)
            seen.add(label)
    assert seen == {0, 1}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One is here. Two came! Three?", ["One is here.", "Two came!", "Three?"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("今天很好。明天呢？“好！”他说。", ["今天很好。", "明天呢？", "“好！”", "他说。"]),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_units_of_text_files(corpus: Corpus, tmp_path: Path) -> None:
    lines = ["one two", "three", "", "four", "", "", "five six"]
    for unit, count in (("file", 1), ("line", 4), ("paragraph", 3)):
        data = corpus(texts=lines, document=unit, max_length=8, split={}, near_duplicates=None)
        assert data.prepare().summary["documents"] == {"corpus": count}
    (tmp_path / "t.jsonl").write_text(
        '{"b": 1, "text": "In the"}\n{"b": 1, "text": "beginning"}\n{"b": 2, "text": "So it was"}\n'
    )
    source = {"uri": f"file://{tmp_path}/t.jsonl", "group": ["b"], "replace": {"So ": ""}}
    data = corpus(source=source, max_length=64, split={}, layout="documents")
    assert [row["text"] for row in data.rows("train")] == ["in the\nbeginning", "it was"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": ["", " "]}, "the corpus is empty.*a.txt"),
        ({"texts": [], "document": "file"}, "a.txt"),
        ({"texts": [prose(1)], "tokenizer": OF_CHINESE}, r"model.tokenizer: \d+% of the tokens.*a.txt"),
        ({"texts": ["x"], "streaming": True, "format": "hub"}, "a.txt: cannot be loaded"),
        ({"texts": ["short"], "max_length": 64, "split": {}}, "data.max_length: .*fewer training tokens"),
        ({"texts": ["x"], "split": {"val": 1.0}}, "data.split.val"),
        ({"texts": ["x"], "source": {"a": {"uri": "x", "weight": 0.5}, "b": "y"}}, "weights of all sources"),
        ({"texts": ["x"], "source": {"uri": "x", "replace": {"(": ""}}}, "no regular expression"),
    ],
)
def test_one_clear_error(corpus: Corpus, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        corpus(**options).prepare()


def test_ranks_share_an_epoch_and_a_stopped_one_goes_on(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = corpus(texts=[prose(seed) for seed in range(40)])
    whole = [batch["index"].tolist() for batch in data.train_dataloader()]
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(data, "_cut", lambda rank=rank, **_: Cut(batch_size=2, world_size=2, rank=rank))
        parts.append([batch["index"].tolist() for batch in data.train_dataloader()])
    for step, one, other in zip(whole, *parts, strict=True):
        assert sorted(one + other) == sorted(step)
    monkeypatch.undo()
    loader = corpus(texts=[prose(seed) for seed in range(40)]).train_dataloader()
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    resumed = corpus(texts=[prose(seed) for seed in range(40)])
    resumed.load_state_dict(loader.state_dict())
    for left, right in zip(batches, resumed.train_dataloader(), strict=True):
        assert all((left[name] == right[name]).all() for name in ("input_ids", "labels", "index"))


@pytest.mark.parametrize("streaming", [True, False])
def test_a_hub_data_set_is_read_as_it_comes(corpus: Corpus, tmp_path: Path, *, streaming: bool) -> None:
    (tmp_path / "hub").mkdir()
    for split, numbers in (("train", range(30)), ("validation", range(30, 35))):
        lines = [json.dumps({"title": str(number), "body": prose(number)}) for number in numbers]
        (tmp_path / "hub" / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    data = corpus(
        source=f"file://{tmp_path}/hub",
        format="hub",
        text=["title", "body"],
        streaming=streaming,
        layout="documents",
        max_length=512,
        split={},
    )
    assert data.prepare().sizes == {"train": 30, "val": 5}
    assert next(data.rows("val"))["text"] == f"30\n\n{prose(30).lower()}"


@pytest.mark.parametrize(
    ("template", "wanted"),
    [("[BOS] $A", ["[BOS]", "x"]), ("[BOS] $A [EOS]", ["[BOS]", "x", "[EOS]"]), ("$A", ["x", "[EOS]"])],
)
def test_the_template_stands_where_it_is_put(template: str, wanted: list[str]) -> None:
    tokenizer: Any = Tokenizer(WordLevel({"[BOS]": 0, "[EOS]": 1, "a": 2, "x": 3}, unk_token="x"))
    tokenizer.post_processor = TemplateProcessing(
        single=template, special_tokens=[("[BOS]", 0), ("[EOS]", 1)]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="[BOS]", eos_token="[EOS]")
    before, behind = _around(fast)
    assert fast.convert_ids_to_tokens([*before, 3, *behind]) == wanted


def test_every_checkpoint_continues_the_blocks(corpus: Corpus, tmp_path: Path) -> None:
    texts = [prose(seed) for seed in range(40)]

    def data() -> CorpusData:
        return corpus(texts=texts, max_length=16)

    whole = fit(data(), tmp_path / "points")
    points = list((tmp_path / "points").glob("*.ckpt"))
    assert len(points) == len(whole)
    for point in points[:: len(points) // 5]:
        rest = fit(data(), tmp_path, point=point)
        assert rest == whole[int(point.stem.partition("=")[2]) :]


GROWTH = """
import resource, sys
from pathlib import Path
from llm_lab.data.corpus.module import CorpusData
def grown():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def read(name):
    data = CorpusData(source=f"file://{sys.argv[1]}/{name}", document="line", licence="test", near_duplicates=None,
        max_length=256, tokenizer={"_target_": "llm_lab.data.tokenizers.Trained", "kind": "byte_bpe",
        "vocab_size": 300, "max_rows": 500, "template": "eos"})
    return data.prepare().summary["characters"]["total"]
read("small.txt")
before = grown()
print(read("large.txt"), grown() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in KiB on Linux only")
def test_thirty_megabytes_take_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    for name, lines in (("small.txt", 1000), ("large.txt", 15_000)):
        with (tmp_path / name).open("w") as file:
            for line in range(lines):
                file.write(prose(line, 330) + "\n")
    command = [sys.executable, "-c", GROWTH, str(tmp_path)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    characters, kib = map(int, out.split())
    assert characters > 28_000_000
    assert kib < 40_000
