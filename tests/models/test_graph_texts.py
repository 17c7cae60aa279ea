"""Models of a graph that read names: what they are taught by, what they must not see, saved and read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from llm_lab.data.spec import DataSpec
from llm_lab.errors import ConfigError, DataError
from llm_lab.knowledge.neighbours import Neighbours
from llm_lab.knowledge.ranking import Answers, Queries, filtered_ranks
from llm_lab.knowledge.triples import Triples
from llm_lab.models.graph.bi_encoder import BiEncoder
from llm_lab.models.graph.entity_texts import readable
from llm_lab.models.graph.reranker import Reranker
from llm_lab.models.graph.saved import read_scorer, write_scorer
from llm_lab.models.graph.scorer import Contrasting
from tests.knowledge.toy import toy_spec, toy_triples
from tests.models.tiny import tiny_encoder

TRIPLES = toy_triples()
TARGET = "llm_lab.models.graph.bi_encoder.BiEncoder"
NAMES = {"_target_": "llm_lab.models.graph.entity_texts.Names"}
TAUGHT = Answers(triples=TRIPLES.splits["train"], relations=3)


@pytest.fixture
def spec(tmp_path: Path) -> DataSpec:
    return toy_spec(tmp_path / "data")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    texts = [*TRIPLES.entities, *TRIPLES.relations, "is a parent of child of lives in inverse"]
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder"), texts))


def bi_encoder(spec: DataSpec, source: str, **more: object) -> tuple[BiEncoder, dict[str, object]]:
    torch.manual_seed(0)
    node = {"source": source, "temperature": 0.1, **more}
    return BiEncoder(spec=spec, **node), {"_target_": TARGET, **node}


def asked_of(split: str, rows: int | None = None) -> Queries:
    return Queries.of(torch.from_numpy(TRIPLES.splits[split][:rows].copy()), 3)


def taught(model: Contrasting, steps: int, rows: int | None = None) -> list[float]:
    """Losses of some steps over training triples."""
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=3e-3)
    losses = []
    for _ in range(steps):
        loss = model.train().contrast(asked_of("train", rows), TAUGHT).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def mrr(model: Contrasting, split: str) -> float:
    asked = asked_of(split)
    with torch.inference_mode():
        scores = model.eval().answer(asked.sources, asked.relations)
    known = Answers.known(TRIPLES).cells(asked.sources, asked.relations)
    return float((1 / filtered_ranks(scores, asked.targets, known).realistic).mean())


def save(
    model: Contrasting, node: dict[str, object], folder: Path, spec: DataSpec, triples: Triples = TRIPLES
) -> Path:
    folder.mkdir(parents=True)
    described = model.described(node)
    write_scorer(
        folder / "model", model=model, node=described, triples=triples, spec=spec, task="LinkPrediction"
    )
    return folder / "model"


@pytest.mark.parametrize("relation", ["text", "matrix"])
def test_thirty_two_triples_are_learned_by_heart(relation: str, spec: DataSpec, source: str) -> None:
    model, _ = bi_encoder(spec, source, relation=relation, margin=0.0)
    before = mrr(model, "train")
    losses = taught(model, steps=60, rows=32)
    assert losses[-1] < 0.3 * losses[0]
    assert mrr(model, "train") > 2 * before


def test_an_edge_that_is_asked_for_is_not_told(spec: DataSpec, source: str) -> None:
    texts = bi_encoder(spec, source, names={**NAMES, "neighbours": 50})[0].texts
    head, relation, tail = TRIPLES.splits["train"][0].tolist()
    edge = (relation, tail)
    others = {number for one in texts.around.of(head) if one != edge for number in one[1:]}
    told, untold = texts.entity(head), texts.entity(head, without=edge)
    assert len(told) - len(untold) == (0 if tail in others else len(texts.names[tail]) + 1)


def test_known_answers_are_no_negatives_and_the_asked_one_is(spec: DataSpec, source: str) -> None:
    """Whatever the vectors, a parent's other child takes no part in the loss, and the parent itself does."""
    model, _ = bi_encoder(spec, source, margin=0.0)
    ids = TRIPLES.entity_ids
    family = torch.tensor([[ids["parent 1"], 0, ids["child 1a"]], [ids["parent 1"], 0, ids["child 1b"]]])
    asked = Queries.of(family, 3)
    known = Answers(triples=family.numpy(), relations=3)
    with torch.no_grad():
        losses = model.eval().contrast(asked, known)
        cosines = model.encoder([model.texts.query(ids["parent 1"], 0)]) @ model.table().t() * model.scale
    right, itself = cosines[0, ids["child 1a"]], cosines[0, ids["parent 1"]]
    torch.testing.assert_close(losses[0], torch.logsumexp(torch.stack([right, itself]), 0) - right)


def test_earlier_batches_make_it_harder_and_margins_too(spec: DataSpec, source: str) -> None:
    plain, _ = bi_encoder(spec, source, margin=0.0)
    strict, _ = bi_encoder(spec, source, margin=0.1)
    longer, _ = bi_encoder(spec, source, margin=0.0, pre_batches=1)
    asked = asked_of("train", 8)
    with torch.no_grad():
        longer.contrast(asked_of("train"), TAUGHT)
        losses = [model.contrast(asked, TAUGHT).mean() for model in (plain, strict, longer)]
    assert losses[0] < losses[1]
    assert losses[0] < losses[2]


@pytest.mark.parametrize("relation", ["text", "matrix"])
def test_a_saved_model_needs_nothing_else_and_answers_alike(
    relation: str, spec: DataSpec, source: str, tmp_path: Path
) -> None:
    model, node = bi_encoder(spec, source, relation=relation, names={**NAMES, "neighbours": 2}, bonus=5.0)
    taught(model, steps=2)
    folder = save(model, node, tmp_path / "run", spec)
    again = read_scorer(folder, spec)
    asked = asked_of("test")
    with torch.inference_mode():
        torch.testing.assert_close(again.answer(*asked[:2]), model.eval().answer(*asked[:2]))
    assert (folder / "encoder/config.json").is_file()


def test_vectors_follow_the_weights(spec: DataSpec, source: str) -> None:
    model, _ = bi_encoder(spec, source)
    before = model.eval().table()
    assert model.table() is before
    taught(model, steps=1)
    assert not torch.equal(model.eval().table(), before)


def test_neighbours_by_a_telling_relation_gain(spec: DataSpec, source: str) -> None:
    around = Neighbours(triples=TRIPLES.splits["train"], entities=len(TRIPLES.entities), relations=3)
    shares = around.confidences()
    parent, child_backward, lives = 0, 4, 2
    assert shares[parent, child_backward] > 0.5
    assert shares[parent, parent] == shares[parent, lives] == 0
    plain, helped = (bi_encoder(spec, source, bonus=bonus)[0].eval() for bonus in (0.0, 100.0))
    asked = torch.tensor([TRIPLES.entity_ids["parent 1"]]), torch.tensor([parent])
    with torch.inference_mode():
        gains = (helped.answer(*asked) - plain.answer(*asked))[0]
    child, town = (TRIPLES.entity_ids[name] for name in ("child 1a", "town 1"))
    assert gains[child] == pytest.approx(100 * float(shares[parent, child_backward]), rel=1e-3)
    assert gains[town] == 0


def test_a_reranker_reorders_the_best_and_leaves_the_rest(
    spec: DataSpec, source: str, tmp_path: Path
) -> None:
    first, node = bi_encoder(spec, source)
    run = save(first, node, tmp_path / "first", spec)
    options = {"first": str(run), "source": source, "k": 6}
    model = Reranker(spec=spec, **options)
    model.learn(TRIPLES)
    losses = taught(model, steps=40, rows=32)
    assert losses[-1] < losses[0]
    asked = asked_of("test")
    with torch.inference_mode():
        scores = model.eval().answer(*asked[:2])
        before, chosen, _ = model._best(*asked[:2], 6)
    rest = torch.ones_like(scores, dtype=torch.bool).scatter(1, chosen, value=False)
    assert torch.equal(scores[rest], before[rest])
    assert not torch.equal(scores, before)
    reranker = {"_target_": "llm_lab.models.graph.reranker.Reranker", **options}
    again = read_scorer(save(model, reranker, tmp_path / "second", spec), spec)
    with torch.inference_mode():
        torch.testing.assert_close(again.answer(*asked[:2]), scores)


SAID = {"en": {"parent 1": "a film director", "child 1a": "a singer"}, "de": {"parent 2": "ein Maler"}}


def test_descriptions_are_read_behind_names(tmp_path: Path) -> None:
    told = replace(TRIPLES, descriptions=SAID)
    encoder = str(tiny_encoder(tmp_path / "encoder", [*TRIPLES.entities, "a film director singer ein Maler"]))
    spec = toy_spec(tmp_path / "data", told)
    names = {**NAMES, "descriptions": 2}
    model, node = bi_encoder(spec, encoder, names=names)
    plain = bi_encoder(spec, encoder)[0]
    texts, ids, words = model.texts, TRIPLES.entity_ids, model.encoder.tokenizer
    read = {name: words.decode(texts.entity(ids[name])) for name in ("parent 1", "parent 2", "town 1")}
    assert read == {
        "parent 1": "[CLS] parent 1 [SEP] a film [SEP]",
        "parent 2": "[CLS] parent 2 [SEP] ein Maler [SEP]",
        "town 1": "[CLS] town 1 [SEP]",
    }
    assert "child 1a [SEP] a singer [SEP]" in words.decode(texts.triple(ids["parent 1"], 0, ids["child 1a"]))
    assert plain.texts.entity(ids["parent 1"]) == texts.start + texts.names[ids["parent 1"]] + texts.end
    differ = (model.eval().table() != plain.eval().table()).any(1)
    assert {TRIPLES.entities[row] for row in differ.nonzero()[:, 0].tolist()} == {
        "parent 1",
        "parent 2",
        "child 1a",
    }
    folder = save(model, node, tmp_path / "run", spec, told)
    again = read_scorer(folder, replace(spec, folder=folder))
    asked = asked_of("test")
    with torch.inference_mode():
        torch.testing.assert_close(again.answer(*asked[:2]), model.answer(*asked[:2]))


def test_identifiers_become_words() -> None:
    assert readable("__land_reform_NN_1") == "land reform NN 1"
    assert readable("land_reform.n.01") == "land reform n 01"
    assert readable("Füße/été") == "Füße été"


def test_a_graph_without_names_is_refused(tmp_path: Path, source: str) -> None:
    numbers = tuple(f"Q{number}" for number in range(len(TRIPLES.entities)))
    bare = Triples(entities=numbers, relations=TRIPLES.relations, splits=TRIPLES.splits)
    with pytest.raises(DataError, match="most entities have none in `en`: Q0"):
        bi_encoder(toy_spec(tmp_path / "bare", bare), source)


def test_what_cannot_be_is_refused(spec: DataSpec, source: str) -> None:
    with pytest.raises(ConfigError, match="temperature above 0"):
        bi_encoder(spec, source, temperature=0.0)
    with pytest.raises(ConfigError, match="from 1 to k - 1 = 4"):
        Reranker(spec=spec, first="nowhere", source=source, k=5, negatives=5)
