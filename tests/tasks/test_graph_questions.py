"""Questions over a graph of the user's own, by every way to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, AutoTokenizer

from llm_lab.data.graph_questions import GraphQuestionData
from llm_lab.errors import DataError
from llm_lab.models.graph.walk import Walker
from llm_lab.tasks.question_ranks import answer_ranks, mixtures
from tests.conftest import Result
from tests.knowledge.asking import questions, write_choice, write_encoder, write_questions

Lab = Callable[..., Result]
READS = ("text", "embeddings", "paths", "joined")
QUICK = ("logger=none", "trainer.enable_progress_bar=false", "trainer.precision=32-true", "knowledge=asked")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with graph, questions and encoder, in which the embeddings of the graph are trained once."""
    folder = tmp_path_factory.mktemp("asked")
    write_choice(folder, write_questions(folder))
    write_encoder(folder / "encoder")
    return folder


@pytest.fixture
def desk(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def train(lab: Lab, *words: str, run: str = "run") -> dict[str, float]:
    result = lab("+experiment=kgqa", *QUICK, "model.source=file://encoder", *words, f"hydra.run.dir={run}")
    assert result.code == 0, result.err
    return dict(json.loads(Path(run, "metrics.json").read_text()))


@pytest.mark.parametrize("reads", READS)
def test_every_way_takes_two_steps_and_is_evaluated_again(reads: str, desk: Path, lab: Lab) -> None:
    run = f"two-{reads}"
    metrics = train(lab, "+debug=smoke", f"model.reads={reads}", run=run)
    assert metrics["run/steps"] == 2
    assert {"test/hits@1", "test/mrr", "baseline/answer/hits@1", "baseline/path/hits@1"} <= metrics.keys()
    assert lab("evaluate", run).code == 0
    (kept,) = Path(run, "evaluations").glob("*.json")
    again = json.loads(kept.read_text())["metrics"]
    names = [name for name in metrics if name.startswith("test/") and isinstance(metrics[name], float)]
    assert {name: again[name] for name in names} == pytest.approx({n: metrics[n] for n in names}, abs=1e-4)


@pytest.mark.parametrize("reads", READS)
def test_over_fits_32_questions(reads: str, desk: Path, lab: Lab) -> None:
    lines = questions()[:32]
    Path("train.txt").write_text("".join(f"{line}\n" for line in lines))
    train(
        lab, f"model.reads={reads}", "data.source={train: 'file://train.txt'}", "data.batch_size=8",
        "model.dropout=0", "optimizer.lr=5e-3", "trainer.max_epochs=60", "mode.report=false", "mode.baseline=false",
        run=f"fits-{reads}",
    )  # fmt: skip
    asked = "".join(json.dumps({"text": line.split("\t")[0]}) + "\n" for line in lines)
    Path("asked.jsonl").write_text(asked)
    result = lab("predict", f"fits-{reads}", "--input", "asked.jsonl", "--output", "said.jsonl")
    assert result.code == 0, result.err
    said = [json.loads(line)["answer"] for line in Path("said.jsonl").read_text().splitlines()]
    right = [line.split("\t")[1].partition("(")[2].rstrip("/)").split("/") for line in lines]
    assert sum(answer in answers for answer, answers in zip(said, right, strict=True)) > 0.9 * len(lines)


def test_paths_answer_what_no_path_of_training_answers(desk: Path, lab: Lab) -> None:
    metrics = train(
        lab, "model.reads=paths", "data.division=path_disjoint", "data.batch_size=8", "model.dropout=0",
        "optimizer.lr=5e-3",
    )  # fmt: skip
    assert metrics["test/hits@1"] > 0.9 > metrics["baseline/path/hits@1"]
    assert "By relations of the path" in Path("run/report.md").read_text()
    asked = ["where does kid_3a 's parent live ?", "where do you live ?", ""]
    Path("asked.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in asked))
    result = lab("predict", "run", "--input", "asked.jsonl", "--output", "said.jsonl")
    assert result.code == 0, result.err
    first, second, third = (json.loads(line) for line in Path("said.jsonl").read_text().splitlines())
    assert first["answer"] == "town_3"
    assert first["path"] == "kid_3a -child_of-> parent_3 -lives_in-> town_3"
    assert (second["answer"], second["note"]) == ("", "no entity of the graph is named")
    assert (third["answer"], third["note"]) == ("", "")
    encoder = AutoModel.from_pretrained("run/model")  # plain transformers reads what the heads stand on
    tokens = AutoTokenizer.from_pretrained("run/model")(asked[0], return_tensors="pt")
    assert encoder(**tokens).last_hidden_state.isfinite().all()


def data_of(folder: Path, **changes: object) -> GraphQuestionData:
    files = write_questions(folder)
    if not (folder / "encoder").exists():
        write_encoder(folder / "encoder")
    tokenizer = {"_target_": "llm_lab.data.tokenizers.Pretrained", "source": f"file://{folder}/encoder"}
    options = {
        "source": files["questions"],
        "triples": files["source"],
        "licence": "none",
        "tokenizer": tokenizer,
    }
    return GraphQuestionData(**{**options, **changes})  # type: ignore[arg-type]


def test_no_path_of_the_test_stands_in_training(tmp_path: Path) -> None:
    def paths(data: GraphQuestionData, split: str) -> set[tuple[object, ...]]:
        return {(row["topic"], *row["relations"]) for row in data.rows(split)}  # type: ignore[arg-type]

    apart, random = data_of(tmp_path, division="path_disjoint"), data_of(tmp_path)
    for data in (apart, random):
        assert sum(data.prepare().sizes.values()) == len(questions())
    assert not paths(apart, "test") & (paths(apart, "train") | paths(apart, "val"))
    assert apart.spec.summary["paths_in_training_test"] == 0
    assert paths(random, "test") & paths(random, "train")
    assert random.spec.summary["paths_in_training_test"] > 0
    assert random.spec.summary["topics_linked_wrongly"] == 0


def test_unknown_names_are_refused_with_line_and_nearest(tmp_path: Path) -> None:
    data_of(tmp_path)
    lines = questions()
    lines[3] = (
        lines[3]
        .replace("#lives_in#", "#live_in#")
        .replace("#works_as#", "#work_as#")
        .replace("#likes#", "#like#")
    )
    Path(tmp_path / "broken.txt").write_text("".join(f"{line}\n" for line in [*lines, "no question"]))
    with pytest.raises(DataError, match=r"relation not in the graph .*broken.txt:4.*did you mean"):
        data_of(tmp_path, source=f"file://{tmp_path}/broken.txt").prepare()


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_a_walk_is_the_sum_over_all_paths(data: st.DataObject) -> None:
    entities, relations, hops = 5, 3, 2
    edge = st.tuples(*(st.integers(0, size - 1) for size in (entities, relations, entities)))
    triples = np.array(data.draw(st.lists(edge, min_size=1, max_size=12, unique=True)), np.int32)
    seed = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    chances = torch.rand(1, hops, relations + 1, generator=seed).softmax(-1)
    topic = data.draw(st.integers(0, entities - 1))
    walker = Walker(triples=triples, entities=entities, relations=relations)
    steps = [*map(tuple, triples.tolist()), *((one, relations, one) for one in range(entities))]
    sums, best = np.zeros(entities), np.zeros(entities)
    for head, first, middle in steps:
        for start, second, tail in steps:
            if head == topic and start == middle:
                chance = float(chances[0, 0, first] * chances[0, 1, second])
                sums[tail] += chance
                best[tail] = max(best[tail], chance)
    assert walker(torch.tensor([topic]), chances)[0].numpy() == pytest.approx(sums.clip(max=1), abs=1e-6)
    for answer in range(entities):
        way = walker.best(topic, chances[0], answer)
        assert bool(best[answer]) or not way
        if way:
            assert (way[0].head, way[-1].tail) == (topic, answer)
            assert all(one.tail == other.head for one, other in pairwise(way))


def test_the_best_placed_right_answer_counts() -> None:
    scores = torch.tensor([[0.1, 0.4, 0.3, 0.2], [0.5, 0.5, 0.0, 0.0]])
    ranks = answer_ranks(scores, torch.tensor([0, 0, 1]), torch.tensor([2, 3, 0]))
    assert ranks.realistic.tolist() == [2.0, 1.5]


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_mixtures_sum_to_one_and_begin_with_the_most_even(parts: int) -> None:
    table = mixtures(parts, 10)
    assert table.sum(1) == pytest.approx(1)
    assert float(table[0].max() - table[0].min()) <= 0.1 + 1e-6
    assert {tuple(row) for row in torch.eye(parts).tolist()} <= {tuple(row) for row in table.tolist()}
