"""Tokenizers that are learned, and those that exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from llm_lab.data.tokenizer_report import tokenizer_report
from llm_lab.data.tokenizers import Pretrained, Trained
from llm_lab.errors import AssetError, ConfigError
from tests.data.conftest import Make, table

CHINESE = ["这本书很好", "这家酒店不好,Wi-Fi 也慢", "好"]


def learn(folder: Path, texts: list[str], **options):
    Trained(**options).save(folder, lambda: iter(texts))
    return AutoTokenizer.from_pretrained(folder)


def test_a_token_per_character(tmp_path: Path) -> None:
    tokenizer = learn(tmp_path, CHINESE, kind="character", vocab_size=100)
    assert tokenizer.tokenize("这书ＯＫ 好") == ["这", "书", "[UNK]", "[UNK]", "好"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("很好")["input_ids"]) == ["[CLS]", "很", "好", "[SEP]"]
    assert tokenizer.decode(tokenizer("酒店")["input_ids"], skip_special_tokens=True) == "酒店"


def test_word_pieces(tmp_path: Path) -> None:
    texts = ["walking talking", "walked talked", "walks talks"] * 5
    tokenizer = learn(tmp_path, texts, kind="wordpiece", vocab_size=60)
    assert tokenizer.tokenize("Walking talks") == ["walking", "talks"]
    pieces = tokenizer.tokenize("talkings")
    assert len(pieces) > 1
    assert "".join(piece.removeprefix("##") for piece in pieces) == "talkings"
    assert tokenizer.pad_token == "[PAD]"
    assert tokenizer.mask_token == "[MASK]"


@pytest.mark.parametrize("kind", ["character", "wordpiece"])
def test_the_same_texts_give_the_same_vocabulary(tmp_path: Path, kind: str) -> None:
    texts = [f"{one}{other} {other}{one}" for one in "abcdefgh" for other in "ijklmnop"]
    found = [learn(tmp_path / str(time), texts, kind=kind, vocab_size=70).get_vocab() for time in range(4)]
    assert all(vocabulary == found[0] for vocabulary in found)
    assert len(found[0]) > 20


@pytest.mark.parametrize("kind", ["character", "wordpiece"])
def test_the_vocabulary_is_bounded_and_the_most_frequent_stay(tmp_path: Path, kind: str) -> None:
    texts = ["a a a b b b", "c", "d", "e", "f"]
    tokenizer = learn(tmp_path, texts, kind=kind, vocab_size=7)
    assert len(tokenizer) <= 7 if kind == "character" else len(tokenizer) <= 11
    if kind == "character":
        assert tokenizer.tokenize("a b c") == ["a", "b", "[UNK]"]


def test_case_is_kept_where_wanted(tmp_path: Path) -> None:
    assert learn(tmp_path / "a", ["Aa"], kind="character", vocab_size=9).tokenize("A") == ["a"]
    kept = learn(tmp_path / "b", ["Aa"], kind="character", vocab_size=9, lowercase=False)
    assert kept.tokenize("Aa") == ["A", "a"]


def test_it_learns_from_the_training_rows_alone(make: Make, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(table([("xyz", "a")]))
    make(table([("ab", "a"), ("ba", "b")]), "train.csv")
    source = {split: f"file://{tmp_path}/{split}.csv" for split in ("train", "test")}
    tokenizer = AutoTokenizer.from_pretrained(make(source=source).prepare().tokenizer)
    assert set(tokenizer.get_vocab()) == {"a", "b", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}


def test_a_bounded_number_of_rows_is_read(tmp_path: Path) -> None:
    def endless():
        while True:
            yield "abc"

    Trained(kind="character", vocab_size=20, max_rows=1000).save(tmp_path, endless)
    assert "b" in AutoTokenizer.from_pretrained(tmp_path).get_vocab()


def test_an_existing_tokenizer_is_taken_over(tmp_path: Path) -> None:
    learned = learn(tmp_path / "model", CHINESE, kind="character", vocab_size=100)
    source = Pretrained(source=str(tmp_path / "model"))
    source.save(tmp_path / "copy", lambda: iter([]))
    copy = AutoTokenizer.from_pretrained(tmp_path / "copy")
    assert copy(CHINESE)["input_ids"] == learned(CHINESE)["input_ids"]
    before = source.identity()
    learn(tmp_path / "model", ["其他"], kind="character", vocab_size=100)
    assert Pretrained(source=str(tmp_path / "model")).identity() != before


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_text("none")
    with pytest.raises(AssetError, match="no tokenizer can be loaded"):
        Pretrained(source=f"file://{tmp_path}/model").save(tmp_path / "copy", lambda: iter([]))


def test_arguments_that_make_no_sense(make: Make) -> None:
    node = {"_target_": "llm_lab.data.tokenizers.Trained", "vocab_size": 100}
    with pytest.raises(ConfigError, match="kind"):
        make(source="x.csv", tokenizer={**node, "kind": "syllable"})
    with pytest.raises(ConfigError, match="vocab_size: 3 leaves no room"):
        make(source="x.csv", tokenizer={**node, "kind": "character", "vocab_size": 3})


LEARN = """
import sys
from pathlib import Path
from llm_lab.data.tokenizers import Trained
texts = [f"{one}{other} {other}{one}{one}, {one * 3}" for one in "abcdefgh" for other in "ijklmnop"]
for kind in ("byte_bpe", "character", "unigram", "wordpiece"):
    Trained(kind=kind, vocab_size=320).save(Path(sys.argv[1]) / kind, lambda: iter(texts))
"""


def test_two_processes_learn_the_same(tmp_path: Path) -> None:
    for name in "ab":
        subprocess.run([sys.executable, "-c", LEARN, str(tmp_path / name)], check=True)
    for kind in ("byte_bpe", "character", "unigram", "wordpiece"):
        one, other = ((tmp_path / name / kind / "tokenizer.json").read_bytes() for name in "ab")
        assert one == other


@pytest.mark.parametrize("kind", ["byte_bpe", "unigram"])
def test_pieces_give_the_text_back(tmp_path: Path, kind: str) -> None:
    texts = ["walking talking", *CHINESE] * 5
    tokenizer = learn(tmp_path, texts, kind=kind, vocab_size=330, template="eos", lowercase=False)
    for text in ("talking walking", "这家酒店不好,Wi-Fi 也慢"):
        ids = tokenizer(text)["input_ids"]
        assert ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_white_space_as_tokens(tmp_path: Path) -> None:
    options = {"template": "none", "whitespace": True, "lowercase": False}
    tokenizer = learn(tmp_path, ["To be,\n or  NOT"], kind="character", vocab_size=30, **options)
    text = "NOT \nbe  ,"
    assert len(tokenizer(text)["input_ids"]) == len(text)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_report(tmp_path: Path) -> None:
    tokenizer = learn(tmp_path, ["ab ba"], kind="character", vocab_size=20)
    found = tokenizer_report(tokenizer, ["ab ax"])
    assert found == {
        "vocabulary": 7, "fertility": 2.0, "unit": "word", "characters_per_token": 1.25, "unknown": 0.25
    }  # fmt: skip
    assert tokenizer_report(tokenizer, CHINESE)["unit"] == "character"
