"""Questions over contexts: SQuAD's format, splits, passages, scores, answers."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from llm_lab.data.passages import passages
from llm_lab.data.question_answering import QuestionAnsweringData
from llm_lab.data.record import Rejected
from llm_lab.data.source import parse_sources
from llm_lab.data.squad import Question, locate, parse_columns, read_questions
from llm_lab.data.window_table import from_codes, to_codes
from llm_lab.errors import DataError
from tests.conftest import Result
from tests.data.conftest import TOKENIZER
from tests.models.tiny import WORDS, tokenizer_folder

PLACES = ("Rome", "Oslo", "Lima", "Cairo", "Paris", "Delhi", "Quito", "Bonn")
NAMES = ("Anna", "Bert", "Cleo", "Dora", "Emil", "Fred", "Gina", "Hugo")
RUN = (
    "+experiment=toy", "data=squad", "task=question_answering", "baseline=question_answering", "logger=none",
    "data.batch_size=8", "data.max_length=48", "data.stride=8", "hydra.run.dir=run",
)  # fmt: skip


def squad(count: int, *, seed: int = 0) -> dict[str, Any]:
    """Two people in two places in every context, and a question about each of them."""
    rng = random.Random(seed)
    paragraphs = []
    for number in range(count):
        names, places = rng.sample(NAMES, 2), rng.sample(PLACES, 2)
        told = [f"{name} lives in {place}." for name, place in zip(names, places, strict=True)]
        context = f"Note {number}. {' '.join(told)}"
        asked = [
            {
                "id": f"{number}-{name}",
                "question": f"Where does {name} live?",
                "answers": [{"text": place, "answer_start": context.index(place)}],
            }
            for name, place in zip(names, places, strict=True)
        ]
        paragraphs.append({"context": context, "qas": asked})
    return {"version": "1.1", "data": [{"title": "toy", "paragraphs": paragraphs}]}


def data_of(path: Path, document: Any, **changes: Any) -> QuestionAnsweringData:
    path.write_text(json.dumps(document))
    options = {
        "source": f"file://{path}",
        "tokenizer": TOKENIZER,
        "licence": "test",
        "max_length": 96,
        "stride": 16,
    }
    return QuestionAnsweringData(**{**options, **changes})


def test_no_context_is_in_two_splits(tmp_path: Path) -> None:
    data = data_of(tmp_path / "toy.json", squad(60), split={"val": 0.2, "test": 0.2})
    spec = data.prepare()
    assert sum(spec.sizes.values()) == 120
    seen = [{row["context"] for row in data.rows(split)} for split in ("train", "val", "test")]
    assert all(seen)
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_answers_are_found_nearby_or_rejected_with_their_id(tmp_path: Path) -> None:
    document = squad(10)
    first, second = document["data"][0]["paragraphs"][0]["qas"]
    first["answers"][0]["answer_start"] -= 1
    second["answers"][0]["text"] = "Atlantis"
    data = data_of(tmp_path / "toy.json", document, split={})
    assert data.prepare().summary["moved"] == 1
    assert data.rejected
    (entry,) = map(json.loads, data.rejected.read_text().splitlines())
    assert (entry["file"], entry["reason"]) == ("toy.json", "answer not in its context")
    assert second["id"] in entry["detail"]

    with pytest.raises(DataError, match=r"answer not in its context \(first toy.json:1 .*0-"):
        data_of(tmp_path / "toy.json", document, split={}, max_rejected=0.01).prepare()


def test_a_question_is_found_on_its_line(tmp_path: Path) -> None:
    text = json.dumps(squad(3), indent=1)
    wrong = next(one for one in text.splitlines() if '"text"' in one)
    (tmp_path / "toy.json").write_text(text.replace(wrong, '"text": "Atlantis",', 1))
    asked = [n for n, line in enumerate(text.splitlines(), start=1) if '"question"' in line]
    data = QuestionAnsweringData(
        source=f"file://{tmp_path}/toy.json", tokenizer=TOKENIZER, licence="test", max_rejected=0.5, split={}
    )
    data.prepare()
    assert data.rejected
    (entry,) = map(json.loads, data.rejected.read_text().splitlines())
    assert entry["line"] == asked[0]


@pytest.mark.parametrize(
    "cell", [[{"txt": "Rome"}], [{"text": "Rome", "answer_start": None}], {"text": ["Rome"]}, 7]
)
def test_answers_of_another_shape_are_rejected_with_their_line(cell: Any, tmp_path: Path) -> None:
    good = {"question": "Where?", "context": "Anna lives in Rome.", "answers": ["Rome"]}
    bad = {"id": [1], "question": "Where now?", "context": "Anna lives in Rome.", "answers": cell}
    (tmp_path / "toy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (good, bad)))
    source = parse_sources(f"file://{tmp_path}/toy.jsonl")[0]
    _, found = read_questions(source, parse_columns({}))
    assert isinstance(found, Rejected)
    assert (found.line, found.reason.split()[0]) == (2, "answers")


def test_broken_files_are_named(tmp_path: Path) -> None:
    data = data_of(tmp_path / "toy.json", {"rows": []})
    with pytest.raises(DataError, match=r"toy.json: not in SQuAD's format"):
        data.prepare()
    (tmp_path / "toy.json").write_text('{"data":\n [}')
    with pytest.raises(DataError, match=r"toy.json: line 2: not JSON"):
        QuestionAnsweringData(
            source=f"file://{tmp_path}/toy.json", tokenizer=TOKENIZER, licence="test"
        ).prepare()


def test_rows_hold_answers_as_texts_or_as_the_hub_has_them(tmp_path: Path) -> None:
    context = "Anna lives in Rome, not in Rome in Georgia."
    cells = ["Rome", {"text": ["Rome"], "answer_start": [27]}, [], ["Rome", "Georgia"]]
    lines = [{"question": f"Where {n}?", "context": context, "answers": cell} for n, cell in enumerate(cells)]
    (tmp_path / "toy.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    other = {"question": "Who?", "context": "Bert.", "answers": "Bert"}
    (tmp_path / "more.jsonl").write_text((tmp_path / "toy.jsonl").read_text() + json.dumps(other))
    source = {"train": f"file://{tmp_path}/more.jsonl", "val": f"file://{tmp_path}/toy.jsonl"}
    data = QuestionAnsweringData(source=source, tokenizer=TOKENIZER, licence="test", max_length=96, stride=16)
    assert data.prepare().summary["leaks"] == 4  # the later split keeps what both have
    assert [row["answers"] for row in data.rows("val")] == [["Rome"], ["Rome"], [], ["Rome", "Georgia"]]
    batch = next(iter(data.val_dataloader()))
    starts = [
        int(spans[place, 0]) for spans, place in zip(batch["spans"], batch["labels"][:, 0], strict=True)
    ]
    assert sorted(starts) == [-1, 14, 14, 27]


def test_labels_point_to_the_answers_and_gold_texts_come_back(tmp_path: Path) -> None:
    data = data_of(tmp_path / "toy.json", squad(20), split={"val": 0.5}, max_length=64)
    data.prepare()
    seen = set()
    for batch in data.val_dataloader():
        for n, (first, last) in enumerate(batch["labels"].tolist()):
            if last:
                low, high = batch["spans"][n, first, 0], batch["spans"][n, last, 1]
                assert from_codes(batch["context"][n][low:high]) == from_codes(batch["answers"][n, 0])
                seen.add(int(batch["question"][n]))
    assert len(seen) == data.spec.sizes["val"]  # every answer is whole in some passage


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=40),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    st.integers(0, 3),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_passages_cover_the_context_and_keep_the_question(
    context: list[str], question: list[str], stride: int, data: st.DataObject
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder())
    text = " ".join(context)
    words = [match.span() for match in re.finditer(r"\S+", text)]
    start = data.draw(st.integers(0, len(words) - 1))
    span = (words[start][0], words[min(len(words) - 1, start + stride)][1])
    asked = Question(id="", question=" ".join(question), context=text, span=span)
    special = tokenizer.num_special_tokens_to_add(pair=True)
    cut = list(passages([asked], tokenizer, max_length=special + len(question) + stride + 2, stride=stride))
    assert {span for one in cut for span in one.spans} == set(words)
    wanted = tokenizer(asked.question, add_special_tokens=False)["input_ids"]
    assert all(str(wanted)[1:-1] in str(one.ids) for one in cut)
    for one in cut:
        first, last = one.target(span)
        if last:
            assert (one.spans[first - one.first][0], one.spans[last - one.first][1]) == span
    if start + stride < len(words):  # stride + 1 words: as many as the overlap and one more
        assert any(one.target(span) != (0, 0) for one in cut)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4))
@settings(deadline=None)
def test_texts_survive_as_code_points(texts: list[str]) -> None:
    assert [from_codes(codes) for codes in to_codes(texts)] == texts


@given(st.text("ab ", max_size=8), st.text("ab ", min_size=1, max_size=2), st.integers(-1, 9))
@settings(deadline=None)
def test_an_answer_is_found_at_the_nearest_place(context: str, text: str, offset: int) -> None:
    places = [n for n in range(len(context)) if context.startswith(text, n)]
    found = locate(text, context, offset)
    assert (found is None) == (not places)
    if found is not None:
        assert abs(found - offset) == min(abs(place - offset) for place in places)


def test_two_steps_predictions_and_plain_transformers(toy: Path, lab: Callable[..., Result]) -> None:
    (toy / "toy.json").write_text(json.dumps(squad(60)))
    result = lab(*RUN, "data.source=file://toy.json", "trainer.max_steps=2")
    assert result.code == 0, result.err
    metrics = json.loads((toy / "run" / "metrics.json").read_text())
    assert {"test/f1", "test/exact_match", "val/f1", "baseline/overlap/f1"} <= metrics.keys()
    report = (toy / "run" / "report.md").read_text()
    assert "| max\\_length | 48 |" in report
    assert "| stride | 8 |" in report
    facts = json.loads((toy / "run" / "model" / "llm_lab.json").read_text())
    assert (facts["max_length"], facts["stride"]) == (48, 8)  # what `predict` cuts by
    assert lab("evaluate", "run").code == 0
    (kept,) = (toy / "run" / "evaluations").glob("*.json")
    again = json.loads(kept.read_text())["metrics"]
    assert {name: again[name] for name in ("test/f1", "test/exact_match", "test/loss")} == pytest.approx(
        {name: metrics[name] for name in ("test/f1", "test/exact_match", "test/loss")}, abs=1e-5
    )
    result = lab("predict", "run", "--input", "toy.json", "--output", "answers.json")
    assert result.code == 0, result.err
    answers = json.loads((toy / "answers.json").read_text())
    asked = {
        one["id"]: (one["question"], p["context"])
        for p in squad(60)["data"][0]["paragraphs"]
        for one in p["qas"]
    }
    assert answers.keys() == asked.keys()
    result = lab("predict", "run", "--input", "toy.json", "--output", "answers.csv")
    assert result.code == 0, result.err
    rows = list(csv.DictReader((toy / "answers.csv").open(newline="")))
    assert {row["id"]: row["answer"] for row in rows} == answers

    tokenizer = AutoTokenizer.from_pretrained(toy / "run" / "model")
    model = AutoModelForQuestionAnswering.from_pretrained(toy / "run" / "model").eval()
    for name in list(asked)[:8]:
        inputs = tokenizer(*asked[name], return_offsets_mapping=True, return_tensors="pt")
        offsets, parts = inputs.pop("offset_mapping")[0].tolist(), inputs.sequence_ids(0)
        with torch.no_grad():
            outputs = model(**inputs)
        sums = outputs.start_logits[0][:, None] + outputs.end_logits[0][None]
        inside = torch.tensor([part == 1 for part in parts])
        legal = (inside[:, None] & inside[None]) & torch.ones_like(sums, dtype=torch.bool).triu().tril(29)
        place = int(sums.masked_fill(~legal, -torch.inf).argmax())
        first, last = divmod(place, len(parts))
        assert answers[name] == asked[name][1][offsets[first][0] : offsets[last][1]]


def test_over_fits_32_questions_with_some_that_have_no_answer(toy: Path, lab: Callable[..., Result]) -> None:
    document = squad(16)
    for paragraph in document["data"][0]["paragraphs"][:4]:
        paragraph["qas"][1].update(answers=[], question="What is the weather like?", is_impossible=True)
    (toy / "train.json").write_text(json.dumps(document))
    sizes = (
        "model.sizes.hidden_size=64",
        "model.sizes.intermediate_size=128",
        "model.sizes.num_hidden_layers=2",
    )
    result = lab(
        *RUN, *sizes, "data.source={train: file://train.json}", "task.null_threshold=0", "model.dropout=0",
        "optimizer.lr=2e-3", "trainer.max_epochs=60", "mode.report=false", "mode.baseline=false",
    )  # fmt: skip
    assert result.code == 0, result.err
    result = lab("predict", "run", "--input", "train.json", "--output", "answers.json")
    assert result.code == 0, result.err
    answers = json.loads((toy / "answers.json").read_text())
    asked = [one for paragraph in document["data"][0]["paragraphs"] for one in paragraph["qas"]]
    right = [answers[one["id"]] == (one["answers"] or [{"text": ""}])[0]["text"] for one in asked]
    assert sum(right) > 0.9 * len(right)


def test_the_summary_tells_how_contexts_were_cut(tmp_path: Path) -> None:
    few = data_of(tmp_path / "few.json", squad(20), split={"val": 0.5}, max_length=96, stride=16).prepare()
    many = data_of(tmp_path / "few.json", squad(20), split={"val": 0.5}, max_length=48, stride=4).prepare()
    assert (few.summary["truncated_at"], few.summary["stride"]) == (96, 16)
    assert (many.summary["truncated_at"], many.summary["stride"]) == (48, 4)
    assert many.summary["windows"].keys() == many.sizes.keys()
    assert many.summary["windows"]["train"] > few.summary["windows"]["train"] >= few.sizes["train"]
    assert many.max_length <= 48


def test_questions_that_leave_no_room_count_as_rejected(tmp_path: Path) -> None:
    document = squad(10)
    asked = [one for paragraph in document["data"][0]["paragraphs"] for one in paragraph["qas"]]
    for number, one in enumerate(asked[:4]):
        one["question"] = " ".join(["Where"] * (100 + number))
    asked[4]["answers"][0]["text"] = "Atlantis"
    data = data_of(tmp_path / "toy.json", document, split={}, max_rejected=0.5)
    assert data.prepare().summary["rejected"]["total"] == 5
    assert data.rejected
    entries = [json.loads(line) for line in data.rejected.read_text().splitlines()]
    assert {entry["file"] for entry in entries} == {"toy.json"}
    with pytest.raises(DataError, match=r"4 question too long for data.max_length \(first toy.json:1"):
        data_of(tmp_path / "toy.json", document, split={}, max_rejected=0.2).prepare()
