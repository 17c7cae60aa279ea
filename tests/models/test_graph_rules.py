"""Rules as a model of link prediction, alone and joined with another: learned, saved, read, edited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.ranking import Answers, Queries, filtered_ranks
from llm_lab.models.graph import rules as module
from llm_lab.models.graph.bilinear import ComplEx
from llm_lab.models.graph.joined import Joined
from llm_lab.models.graph.rules import RULES, Rules
from llm_lab.models.graph.saved import NAMES, read_scorer, write_scorer
from llm_lab.models.graph.scorer import Scorer
from tests.conftest import Result
from tests.knowledge.toy import toy_spec, toy_triples

TRIPLES = toy_triples()
SMALL = {"cyclic": 2, "acyclic": 1, "support": 2, "confidence": 0.05, "smoothing": 1.0}


@pytest.fixture
def spec(tmp_path: Path) -> DataSpec:
    return toy_spec(tmp_path / "data")


def mrr(model: Scorer, split: str = "test") -> float:
    asked = Queries.of(torch.from_numpy(TRIPLES.splits[split]), model.relations)
    known = Answers.known(TRIPLES).cells(asked.sources, asked.relations)
    scores = model.answer(asked.sources, asked.relations)
    return float((1 / filtered_ranks(scores, asked.targets, known).realistic).mean())


def save(model: Scorer, node: dict[str, object], folder: Path, spec: DataSpec) -> Path:
    folder.mkdir(parents=True)
    write_scorer(folder / "model", model=model, node=node, triples=TRIPLES, spec=spec, task="LinkPrediction")
    return folder / "model"


def rules(spec: DataSpec, **more: object) -> tuple[Rules, dict[str, object]]:
    model = Rules(spec=spec, **{**SMALL, **more})
    model.learn(TRIPLES)
    return model, {"_target_": "llm_lab.models.graph.rules.Rules", **SMALL, **more}


def test_rules_are_learned_without_a_gradient_and_find_what_is_regular(spec: DataSpec) -> None:
    model, _ = rules(spec)
    assert not model.trains
    assert mrr(model) > 0.7


def test_a_label_with_breaks_stays_in_its_cell(spec: DataSpec, tmp_path: Path) -> None:
    model, node = rules(spec)
    odd = replace(TRIPLES, labels={"": {"town 0": "Tab\tand\nbreak"}, "en": {"town 1": "a\r\nb"}})
    (tmp_path / "run").mkdir()
    folder = tmp_path / "run/model"
    write_scorer(folder, model=model, node=node, triples=odd, spec=spec, task="LinkPrediction")
    rows = [line.split("\t") for line in (folder / NAMES).read_text().split("\n")]
    assert rows[0] == ["id", "label", "en"] and len(rows) == len(TRIPLES.entities) + 2
    assert ["town 0", "Tab and break", ""] in rows and ["town 1", "", "a b"] in rows


def test_saved_rules_answer_alike_and_follow_the_edited_text(spec: DataSpec, tmp_path: Path) -> None:
    model, node = rules(spec)
    folder = save(model, node, tmp_path / "run", spec)
    again = read_scorer(folder, spec)
    asked = Queries.of(torch.from_numpy(TRIPLES.splits["test"]), model.relations)
    torch.testing.assert_close(again.answer(*asked[:2]), model.answer(*asked[:2]))
    (folder / RULES).write_text("0.5\tchild_of(X,Y) <= parent_of(Y,X)\n", encoding="utf-8")
    edited = read_scorer(folder, spec)
    asked = Queries.of(torch.from_numpy(TRIPLES.splits["train"]), model.relations)
    assert {*edited.answer(*asked[:2]).unique().tolist()} == {0.0, 0.5}


def test_rules_of_ones_own_go_along(spec: DataSpec, tmp_path: Path) -> None:
    own = tmp_path / "own.tsv"
    own.write_text("!\tchild_of(X,Y) <= parent_of(Y,X)\n", encoding="utf-8")
    with_all, without = rules(spec)[0], rules(spec, rules=f"file://{own}")[0]
    assert len(without.learned) == len(with_all.learned) - 1


def test_a_slip_in_ones_own_rules_is_told_before_the_search(
    spec: DataSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "learn_rules", lambda *_, **__: pytest.fail("it learns first"))
    own = tmp_path / "own.tsv"
    own.write_text("0.5\tchild_of(X,Y) <= parnet_of(Y,X)\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"own\.tsv:1: .*parnet_of"):
        rules(spec, rules=f"file://{own}")


def test_joined_models_are_no_worse_on_validation_than_each_alone(spec: DataSpec, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, node = rules(spec)
    second = ComplEx(spec=spec, dim=8)
    plain = {"_target_": "llm_lab.models.graph.bilinear.ComplEx", "dim": 8}
    parts = {
        "rules": str(save(first, node, tmp_path / "a", spec)),
        "embeddings": str(save(second, plain, tmp_path / "b", spec)),
    }
    model = Joined(spec=spec, parts=parts, prior=1e9)
    model.learn(TRIPLES)
    assert not model.trains
    torch.testing.assert_close(model.weights().sum(0), torch.ones(2 * len(TRIPLES.relations)))
    assert mrr(model, "val") >= max(mrr(first, "val"), mrr(second, "val")) - 1e-6
    folder = save(
        model, {"_target_": "llm_lab.models.graph.joined.Joined", "parts": parts}, tmp_path / "c", spec
    )
    again = read_scorer(folder, spec)
    asked = Queries.of(torch.from_numpy(TRIPLES.splits["test"]), model.relations)
    torch.testing.assert_close(again.answer(*asked[:2]), model.answer(*asked[:2]))


@pytest.mark.parametrize(
    ("option", "value"), [("cyclic", -1), ("support", 0), ("confidence", 1.0), ("seconds", 0.0)]
)
def test_impossible_bounds_are_refused(spec: DataSpec, option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=option):
        Rules(spec=spec, **{option: value})


def test_one_part_is_no_mixture(spec: DataSpec) -> None:
    with pytest.raises(ConfigError, match="at least two parts and one step are wanted, found 1 and 20"):
        Joined(spec=spec, parts={"rules": "somewhere"})


@pytest.mark.parametrize("graph", ["countries", "companies", "hpo", "codex_s"])
def test_every_ready_graph_has_bounds_for_rules(lab: Callable[..., Result], graph: str) -> None:
    done = lab("check", "+experiment=rules", f"knowledge={graph}")
    assert done.code == 0, done.err
