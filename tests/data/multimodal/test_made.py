"""Sounds that are made: recordings joined, texts spoken; and texts as targets."""

from __future__ import annotations

import io
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.data.multimodal.joined import Sequel
from llm_lab.data.multimodal.media import contents
from llm_lab.data.multimodal.module import MultimodalData
from llm_lab.data.multimodal.spoken import PROGRAM, SPEEDS, Speech
from llm_lab.data.multimodal.transcripts import fold, too_long, transcript_reader
from llm_lab.data.readers import read
from llm_lab.data.record import Record, UnusableError
from llm_lab.data.source import Source
from llm_lab.errors import ConfigError, DataError
from tests.multimodal import tone

JOINED = {"rows": 30, "count": [2, 4], "sounds": "file", "texts": "digit", "by": "who", "seed": 1}
spoken = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of two people, six each."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for who in "ab":
        for number in range(6):
            tone(folder / f"{number % 3}_{who}_{number}.wav", 300.0 * (1 + number), 0.1 + 0.01 * number, rng)
    return folder


def drawn(folder: Path, **joined: Any) -> list[Record]:
    pattern = r"(?P<digit>\d)_(?P<who>\w)_(?P<take>\d)\.wav"
    source = Source(uri=str(folder), format="files", pattern=pattern, joined={**JOINED, **joined})
    return [row for row in read(source, ["file", "digit"]) if isinstance(row, Record)]


def test_rows_are_joined_by_seed_within_a_group_and_no_recording_twice(recordings: Path) -> None:
    rows = drawn(recordings)
    assert [row.values for row in rows] == [row.values for row in drawn(recordings)]
    assert [row.values for row in rows] != [row.values for row in drawn(recordings, seed=2)]
    assert len(rows) == 30 and {len(row.values["file"].parts) for row in rows} == {2, 3, 4}
    for row in rows:
        parts = row.values["file"].parts
        assert len(set(parts)) == len(parts) == len(row.values["file"].pauses) + 1
        assert {part[2] for part in parts} == {row.values["who"]}
        assert row.values["digit"] == " ".join(part[0] for part in parts)


def test_a_joined_sound_is_its_parts_and_its_pauses(recordings: Path) -> None:
    first, second = "0_a_0.wav", "1_a_1.wav"
    content = contents(Sequel((first, second), (0.25,)), recordings)
    assert isinstance(content, bytes)
    samples, rate = soundfile.read(io.BytesIO(content))
    one, two = (soundfile.read(recordings / name)[0] for name in (first, second))
    assert np.allclose(samples, np.concatenate([one, np.zeros(rate // 4), two]), atol=1e-4)
    with pytest.raises(UnusableError, match="no such file"):
        contents(Sequel((first, "nowhere.wav"), (0.1,)), recordings)
    with pytest.raises(UnusableError, match="outside the folder"):
        contents(Sequel((first, "../x.wav"), (0.1,)), recordings)


@pytest.mark.parametrize(
    ("joined", "message"),
    [
        ({"count": [5, 2]}, r"count: \[LEAST, MOST\] is wanted"),
        ({"pauses": [-1, 0]}, r"pauses: \[LEAST, MOST\]"),
        ({"rows": 0}, "of nothing no row can be drawn"),
        ({"cuont": [1, 2]}, "data.source.joined"),
    ],
)
def test_a_plan_of_sequences_that_cannot_be_is_told(
    recordings: Path, joined: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        drawn(recordings, **joined)


def test_too_few_recordings_are_told(recordings: Path) -> None:
    with pytest.raises(DataError, match="6 rows of who `a`, and up to 7 are to be joined"):
        drawn(recordings, count=[2, 7])


def said(path: Path, **settings: Any) -> list[Any]:
    return list(read(replace(Source(uri=str(path)), format="csv", spoken=settings), ["text", "sound"]))


def spoken_data(folder: Path) -> MultimodalData:
    """Two sentences to be spoken and written."""
    (folder / "a.csv").write_text("text\nHello there!\nGood-bye; then.\n")
    tokenizer = {"kind": "character", "vocab_size": 60, "template": "eos", "whitespace": True}
    return MultimodalData(
        source={"train": {"uri": str(folder / "a.csv"), "spoken": {"seed": 1}}},
        columns={"sound": {"kind": "audio", "rate": 8000, "mels": 8}, "label": "text"},
        problem="transcript", licence="ours", split={}, batch_size=2, frames_per_character=2,
        tokenizer={"_target_": "llm_lab.data.tokenizers.Trained", **tokenizer},
    )  # fmt: skip


def test_without_the_program_one_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError, match=f"apt-get install {PROGRAM}"):
        spoken_data(tmp_path).prepare()


@spoken
def test_sentences_become_sounds_with_their_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    data = spoken_data(tmp_path)
    assert sorted(row["label"] for row in data.rows("train")) == ["good bye then", "hello there"]
    (batch,) = data.train_dataloader()
    assert batch["sound"].shape[::2] == (2, 8) and (batch["labels"] == -100).sum() == 2
    assert batch["step_targets"] == len("hello there") + len("good bye then") + 2


def test_voices_and_speeds_are_checked_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nhello\n")
    for voices in (["-w/etc/passwd"], ["../x"], ["en us"]):
        with pytest.raises(ConfigError, match="is no name of a voice"):
            said(tmp_path / "a.csv", voices=voices)
    with pytest.raises(ConfigError, match=f"speeds from {SPEEDS[0]}"):
        said(tmp_path / "a.csv", speeds=[1, 2])


def test_rows_get_a_voice_by_the_seed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "hello\n" * 20 + "x" * 300 + "\n")
    *rows, long = said(tmp_path / "a.csv", voices=["en-us", "en-gb"], seed=3)
    assert {row.values["sound"].voice for row in rows} == {"en-us", "en-gb"}
    assert rows == said(tmp_path / "a.csv", voices=["en-us", "en-gb"], seed=3)[:-1]
    assert long.reason == "text too long to be spoken"


@spoken
def test_a_text_is_spoken_once_and_never_taken_for_a_word_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    speech = Speech("-w evil.wav; touch evil", "en-us", 150, 50, 20.0)
    content = contents(speech, tmp_path)
    samples, _ = soundfile.read(io.BytesIO(content))  # type: ignore[arg-type]
    assert np.abs(samples).max() > 0.1 and len(samples) > 10_000
    assert not (tmp_path / "evil.wav").exists() and not (tmp_path / "evil").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert contents(speech, tmp_path) == content
    monkeypatch.undo()
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    with pytest.raises(UnusableError, match="cannot be spoken"):
        contents(replace(speech, voice="nobody"), tmp_path)
    with pytest.raises(UnusableError, match="cannot be spoken"):
        contents(replace(speech, text="some other text", seconds=1e-4), tmp_path)


@given(st.text(max_size=30))
def test_folding_a_text_twice_is_folding_it_once(text: str) -> None:
    once = fold(text)
    assert fold(once) == once and once == " ".join(once.split())
    assert all(one in " '" or unicodedata.category(one)[0] in "LMN" for one in once)


def test_a_target_is_read_word_by_word() -> None:
    read_target = transcript_reader({"two": 2, "seven": [7, "VII"]}, folded=True)
    assert read_target("7 2 VII") == "seven two seven"
    with pytest.raises(UnusableError, match="unknown label"):
        read_target("7 3")
    assert transcript_reader(None, folded=True)("Don\u2019t, \u2018stop\u2019!") == "don't stop"
    assert transcript_reader(None, folded=False)(" Yes, Sir. ") == "Yes, Sir."
    with pytest.raises(UnusableError, match="empty text"):
        transcript_reader(None, folded=True)("?!")


def test_a_text_needs_a_moment_per_character_and_one_between_equal_ones() -> None:
    assert too_long("abc", frames=6, frames_per_character=2) is None
    assert too_long("abc", frames=4, frames_per_character=2) is not None
    assert too_long("abb", frames=6, frames_per_character=2) is not None
