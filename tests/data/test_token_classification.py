"""Files of tagged sentences, good and bad, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_lab.data.token_classification import TokenClassificationData
from llm_lab.errors import ConfigError, DataError
from tests.data.conftest import TOKENIZER

Make = Callable[..., TokenClassificationData]
GOOD = "Anna\tB-PER\nlives\tO\nin\tO\nNew\tB-LOC\nYork\tI-LOC\n\nBob\tB-PER\nwalks\tO\n\n"


@pytest.fixture
def tagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a data module over files given as text by split."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))

    def build(files: dict[str, str], suffix: str = ".conll", **options) -> TokenClassificationData:
        source = {}
        for split, text in files.items():
            path = tmp_path / f"{split}{suffix}"
            path.write_text(text, encoding="utf-8")
            source[split] = f"file://{path}"
        return TokenClassificationData(source=source, tokenizer=TOKENIZER, licence="test", **options)

    return build


def rows(data: TokenClassificationData, split="train") -> list[tuple[list[str], list[str]]]:
    return [(row["tokens"], row["tags"]) for row in data.rows(split)]


def test_sentences_are_read_and_described(tagged):
    data = tagged({"train": GOOD, "test": GOOD}, leaks="keep")
    spec = data.prepare()
    assert spec.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert spec.problem == "tokens"
    assert spec.class_counts == (3, 1, 1, 2, 0)
    assert rows(data)[0] == (["Anna", "lives", "in", "New", "York"], ["B-PER", "O", "O", "B-LOC", "I-LOC"])
    batch = next(iter(data.train_dataloader()))
    assert batch["step_targets"] == 7
    assert sorted(batch["words"].tolist()) == [2, 5]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (GOOD.replace("\t", " "), {}),
        (GOOD.replace("\t", "\tNN\t"), {}),
        (GOOD.replace("\t", "\tX\tNN\t"), {"columns": {"tokens": 0, "tags": 3}}),
        ("# a remark\n-DOCSTART- O\n\n" + GOOD, {"comment": "#"}),
        (GOOD.replace("\n\n", "\n\t\n"), {}),
        (GOOD.replace("\n", "\r\n"), {}),
        (GOOD.replace("B-", "I-"), {}),
        (GOOD.replace("B-PER", "S-PER").replace("I-LOC", "E-LOC"), {}),
        (GOOD.replace("B-PER", "U-PER").replace("I-LOC", "L-LOC"), {}),
    ],
    ids=["blanks", "columns", "numbers", "comments", "tabs alone", "crlf", "iob1", "bioes", "bilou"],
)
def test_files_of_every_kind_say_the_same(tagged, text, options):
    expected = rows(tagged({"train": GOOD}))
    assert rows(tagged({"train": text}, **options)) == expected


def test_tables_of_sentences_say_the_same(tagged):
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    expected = rows(tagged({"train": GOOD}))
    named = "".join(json.dumps({"words": w, "ner": t}) + "\n" for w, t in expected)
    numbered = "".join(
        json.dumps({"words": w, "ner": [names.index(x) for x in t]}) + "\n" for w, t in expected
    )
    columns = {"tokens": "words", "tags": "ner"}
    assert rows(tagged({"train": named}, ".jsonl", columns=columns)) == expected
    assert rows(tagged({"train": numbered}, ".jsonl", columns=columns, names=names)) == expected
    with pytest.raises(DataError, match="tag without a name"):
        tagged({"train": numbered}, ".jsonl", columns=columns).prepare()


def test_a_scheme_is_converted(tagged):
    data = tagged({"train": GOOD}, scheme="BIOES")
    assert rows(data)[0][1] == ["S-PER", "O", "O", "B-LOC", "E-LOC"]
    assert data.spec.labels[:3] == ("O", "B-LOC", "I-LOC")


def test_peoples_daily_becomes_characters(tagged):
    text = "江/nr  泽民/nr  在/p  北京/ns  会见/v  李/nr  鹏/nr  。/w\n"
    data = tagged({"train": text}, ".txt", format="peoples_daily", unit="character")
    tokens, tags = rows(data)[0]
    assert "".join(tokens) == "江泽民在北京会见李鹏。"
    assert tags == "B-PER I-PER I-PER O B-LOC I-LOC O O B-PER I-PER O".split()
    words = tagged({"train": text}, ".txt", format="peoples_daily")
    assert rows(words)[0][0][:2] == ["江", "泽民"]


def test_tags_that_break_the_scheme_are_repaired_or_rejected(tagged):
    broken = GOOD * 4 + "The\tO\nHague\tI-LOC\n\n"
    options = {"scheme_in": "BIO", "duplicates": "keep"}
    assert rows(tagged({"train": broken}, **options))[-1][1] == ["O", "B-LOC"]
    data = tagged({"train": broken}, invalid="reject", max_rejected=0.5, **options)
    data.prepare()
    (entry,) = map(json.loads, data.rejected.read_text().splitlines())
    assert (entry["file"], entry["line"]) == ("train.conll", 37)
    assert "line 38: `Hague` I-LOC is no BIO here" in entry["detail"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Anna\tB-PER\nlives\n\n", r"wrong field count \(first train.conll:2"),
        ("Anna\tPER\n\n", r"unknown tag \(first train.conll:1"),
        ("", "no sentence can be used"),
        ("Anna\tO\n\n", "no word is tagged"),
    ],
)
def test_bad_files_are_told_with_file_and_line(tagged, text, message):
    with pytest.raises(DataError, match=message):
        tagged({"train": text}).prepare()


def test_a_type_that_training_lacks_is_named_with_file_and_line(tagged):
    test = "Acme\tB-ORG\n\n"
    with pytest.raises(DataError, match=r"`ORG` \(test.conll:1\).*data.labels"):
        tagged({"train": GOOD, "test": test}).prepare()
    data = tagged({"train": GOOD, "test": test}, labels=["LOC", "ORG", "PER"])
    assert data.prepare().summary["warnings"] == ["no training sentence has a `ORG`"]


def test_long_sentences_are_cut_into_windows_and_stay_one_row(tagged):
    data = tagged({"train": "".join(f"word{n}\tB-X\n" for n in range(40))}, max_length=32)
    spec = data.prepare()
    assert spec.sizes == {"train": 1}
    assert spec.max_length <= 32
    batch = next(iter(data.train_dataloader()))
    assert len(batch["input_ids"]) > 5
    assert batch["words"].tolist() == [40]
    assert batch["step_targets"] == 40 == (batch["labels"] != -100).sum()


@pytest.mark.parametrize(
    "options",
    [{"stride": 40, "max_length": 32}, {"columns": {"tokens": "word", "tags": "tag"}}, {"limit": 0}],
)
def test_a_configuration_that_does_not_fit_is_refused(tagged, options):
    with pytest.raises(ConfigError):
        tagged({"train": GOOD}, **options).prepare()
