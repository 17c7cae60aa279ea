"""Knowledge in text tasks by config alone: it is learned from, saved, evaluated, and injected by predict."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result

GRAPH = ("knowledge=toy", "knowledge/injection=verbalize")
QUIET = ("logger=none", "trainer.enable_progress_bar=false", "trainer.precision=32-true", "hydra.run.dir=run")
ROOMY = ("data.transforms.knowledge.tokens=16", "data.transforms.knowledge.pattern='{tail}'")
TAGS = ("model=toy", "data=conll", "task=token_classification", "baseline=token_classification")
ASKS = ("data=squad", "task=question_answering", "baseline=question_answering", "data.stride=8")
KNOWLEDGE = """# People who are kind or mean, for tests.
name: toy
licence: own
source: {train: file://../../people.tsv}
negatives: null
labels: null
recipe: {dim: 8, objective: one_vs_all, label_smoothing: 0.0, n3: 0.0, dropout: 0.0, lr: 0.1, batch_size: 32,
  epochs: 1, validate_every: 1, patience: 1}
"""


def people(count: int = 400) -> list[tuple[str, str]]:
    """Names that nobody has heard of, too many to be learned by heart, and what the graph says of them."""
    letters = random.Random(0)
    names = {"".join(letters.choices("bdfgklmnprstv", k=6)).capitalize() for _ in range(count)}
    return [(name, ("kind", "mean")[number % 2]) for number, name in enumerate(sorted(names))]


@pytest.fixture
def known(toy: Path) -> Path:
    """The toy experiment with a graph of people, and texts about them that do not say how they are."""
    (toy / "conf" / "knowledge").mkdir(parents=True)
    (toy / "conf" / "knowledge" / "toy.yaml").write_text(KNOWLEDGE)
    everybody = people()
    (toy / "people.tsv").write_text("".join(f"{name}\tnature\t{kind}\n" for name, kind in everybody))
    rows = [f"the film with {name} in it,{kind}" for name, kind in everybody]
    (toy / "toy.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return toy


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "run" / "metrics.json").read_text())


def test_a_text_is_understood_that_says_nothing_without_the_graph(
    known: Path, lab: Callable[..., Result]
) -> None:
    train = ("+experiment=toy", *QUIET, "trainer.max_epochs=4", "optimizer.lr=1e-2", "baseline=null")
    assert lab(*train, *GRAPH, *ROOMY).code == 0
    assert metrics(known)["test/accuracy"] > 0.9
    assert lab("evaluate", "run").code == 0
    (kept,) = (known / "run" / "evaluations").iterdir()
    assert json.loads(kept.read_text())["metrics"]["test/accuracy"] == metrics(known)["test/accuracy"]
    (known / "people.tsv").unlink()  # the run directory is enough
    new = people()[:20]
    (known / "new.csv").write_text("text\n" + "".join(f"a film with {name}\n" for name, _ in new))
    found = lab("predict", "run", "--input", "new.csv").out.splitlines()[1:]
    right = sum(line.split(",")[1] == kind for line, (_, kind) in zip(found, new, strict=True))
    assert right >= 18


def test_facts_change_the_hash_of_the_data(known: Path, lab: Callable[..., Result]) -> None:
    prints = []
    for _ in range(2):
        assert lab("+experiment=toy", "+debug=smoke", *QUIET, *GRAPH).code == 0
        facts = json.loads((known / "run" / "model" / "llm_lab.json").read_text())
        prints.append(facts["data"]["fingerprint"])
        (known / "people.tsv").write_text("Somebody\tnature\tkind\n")
        shutil.rmtree(known / "run")
    assert prints[0] != prints[1]


@pytest.mark.parametrize("visibility", ["false", "true"])
def test_tags_are_those_of_the_words_of_the_text(
    known: Path, lab: Callable[..., Result], visibility: str
) -> None:
    lines = [f"we\tO\nsaw\tO\n{name}\tB-{kind}\n" for name, kind in people()]
    (known / "names.conll").write_text("\n".join(lines) + "\n")
    words = ("data.source=file://names.conll", "+data.split={val: 0.2, test: 0.2}", *TAGS, *GRAPH, *ROOMY)
    size = (
        "model.sizes.num_hidden_layers=2",
        f"data.transforms.knowledge.visibility={visibility}",
        "baseline=null",
    )
    more = ("trainer.max_epochs=4", "optimizer.lr=1e-2", "data.batch_size=8")
    result = lab("+experiment=toy", *QUIET, *words, *size, *more)
    assert result.code == 0, result.err
    assert metrics(known)["test/f1"] > 0.9
    (known / "people.tsv").unlink()
    name, kind = people()[5]
    (known / "new.txt").write_text(f"we saw {name} again\n")
    out = lab("predict", "run", "--input", "new.txt").out.split("\n")
    assert [line.split("\t")[0] for line in out if line] == ["we", "saw", name, "again"]
    assert f"{name}\tB-{kind}" in out


def test_questions_are_answered_from_the_context(known: Path, lab: Callable[..., Result]) -> None:
    paragraphs = []
    for number, (name, _) in enumerate(people()):
        context = f"A film about {name} in the town."
        answer = {"text": name, "answer_start": context.index(name)}
        qas = [{"id": str(number), "question": f"Who is it, {name}?", "answers": [answer]}]
        paragraphs.append({"context": context, "qas": qas})
    (known / "asked.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    words = ("data.source=file://asked.json", "data.max_length=64", *ASKS, *GRAPH, *ROOMY)
    result = lab(
        "+experiment=toy", "+debug=smoke", *QUIET, *words, "data.transforms.knowledge.visibility=true"
    )
    assert result.code == 0, result.err
    assert lab("evaluate", "run").code == 0
    out = lab("predict", "run", "--input", "asked.json").out
    assert all(answer in paragraphs[int(key)]["context"] for key, answer in json.loads(out).items())


def test_embeddings_of_a_run_are_put_in_and_saved(known: Path, lab: Callable[..., Result]) -> None:
    graph = (
        "+experiment=link_prediction",
        "knowledge=toy",
        "data.split={val: 0.1, test: 0.1}",
        "baseline=null",
    )
    result = lab(*graph, "logger=none", "trainer.enable_progress_bar=false", "hydra.run.dir=graph")
    assert result.code == 0, result.err
    words = ("knowledge=toy", "knowledge/injection=entity_embeddings", "baseline=null")
    words = (*words, "model.wrappers.knowledge.source=run://graph", "model.wrappers.knowledge.frozen=false")
    result = lab("+experiment=toy", *QUIET, *words, "optimizer.lr=1e-2", "trainer.max_epochs=1")
    assert result.code == 0, result.err
    from safetensors.torch import load_file

    weights = load_file(known / "run" / "model" / "model.safetensors")
    assert len(weights["entity_embeddings.table.weight"]) == len(people()) + 3  # two natures, and none
    assert float(weights["entity_embeddings.gate"].abs()) > 0
    assert lab("evaluate", "run").code == 0
    (kept,) = (known / "run" / "evaluations").iterdir()
    assert json.loads(kept.read_text())["metrics"]["test/loss"] == pytest.approx(
        metrics(known)["test/loss"], abs=1e-5
    )
    (known / "new.csv").write_text("text\nthe film with nobody in it\n")
    assert lab("predict", "run", "--input", "new.csv").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("knowledge/injection=verbalize",), "injection needs a graph, and `knowledge` is null"),
        (("knowledge/injection=entity_embeddings",), "injection needs a graph, and `knowledge` is null"),
        (
            (*GRAPH, "data=corpus", "task=masked_lm", "baseline=null", "data.source=file://toy.csv"),
            "these data take no row transforms",
        ),
        ((*GRAPH, "peft=prompt"), "vectors in front of a row move the tokens"),
        (
            (*GRAPH, "model=gpt2_tiny", "data.transforms.knowledge.visibility=true"),
            "no places of tokens that could be soft",
        ),
        (
            ("knowledge=toy", "knowledge/injection=entity_embeddings", "model.wrappers.knowledge=null"),
            "is not among model.wrappers",
        ),
    ],
)
def test_what_cannot_be_injected_is_refused_by_the_check(
    known: Path, lab: Callable[..., Result], words: tuple[str, ...], told: str
) -> None:
    result = lab("check", "+experiment=toy", *words)
    assert result.code == 2
    assert told in result.err
