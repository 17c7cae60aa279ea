"""Entity scores beside seqeval's, the CRF beside brute force, and a tagger that learns and is saved."""

from __future__ import annotations

import itertools
import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval import metrics as seqeval
from torchmetrics import MetricCollection

from llm_lab.data.tags import fault, spans, tag_names
from llm_lab.tasks.crf import LinearChain
from llm_lab.tasks.entity_f1 import EntityF1, EntityPrecision, EntityRecall, EntityTypes
from tests.conftest import Result

TAGS = tag_names(["LOC", "PER"], "BIO")
BIOES = tag_names(["PER"], "BIOES")
TITLES, NAMES, PLACES = ("Dr", "Sir"), ("anna", "bob", "carl"), ("rome", "york", "new")
PLAIN = "the train from to with saw went said and then".split()
TASK = ("model=toy", "data=conll", "task=token_classification", "baseline=token_classification")
QUIET = ("logger=none", "trainer.enable_progress_bar=false", "trainer.precision=32-true", "hydra.run.dir=run")

pairs = st.lists(
    st.integers(1, 9).flatmap(
        lambda n: st.tuples(*[st.lists(st.sampled_from(TAGS), min_size=n, max_size=n)] * 2)
    ),
    min_size=1,
    max_size=6,
)


@given(pairs)
def test_scores_are_those_of_seqeval_and_add_up_over_batches(sentences):
    collection = MetricCollection(
        {"f1": EntityF1(), "precision": EntityPrecision(), "recall": EntityRecall()}
    )
    for told, true in sentences:  # a batch each
        collection.update(told=set(spans(told, [len(told)])), true=set(spans(true, [len(true)])))
    found = {name: float(value) for name, value in collection.compute().items()}
    told, true = (list(column) for column in zip(*sentences, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {name: getattr(seqeval, f"{name}_score")(true, told) for name in found}
    assert found == pytest.approx(expected, abs=1e-6)


@given(pairs)
def test_scores_of_each_type_are_those_of_the_report_of_seqeval(sentences):
    types = EntityTypes(TAGS)
    for told, true in sentences:  # a batch each
        types.update(told=set(spans(told, [len(told)])), true=set(spans(true, [len(true)])))
    found = {name: float(value) for name, value in types.compute().items()}
    told, true = (list(column) for column in zip(*sentences, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = seqeval.classification_report(true, told, output_dict=True) if "f1/" in str(found) else {}
    ours = {"f1": "f1-score"}
    assert {name.partition("/")[2] for name in found} - {""} == {k for k in theirs if " " not in k}
    for name, value in found.items():
        score, _, kind = name.partition("/")
        row = theirs[kind] if kind else theirs.get("macro avg", {"f1-score": 0.0})
        assert value == pytest.approx(row[ours.get(score, "f1-score" if not kind else score)], abs=1e-6)


def brute(chain: LinearChain, emissions: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Score of every legal sequence of a sentence [T, C], added up tag by tag."""
    scores, count = chain.transitions.detach(), emissions.shape[1]
    found = {}
    for tags in itertools.product(range(count), repeat=len(emissions)):
        path = [count, *tags, count]
        if all(chain.allowed[a, b] for a, b in itertools.pairwise(path)):
            found[tags] = float(
                sum(scores[a, b] for a, b in itertools.pairwise(path))
                + sum(emissions[place, tag] for place, tag in enumerate(tags))
            )
    return found


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3), st.sampled_from([TAGS, BIOES]), st.integers(0, 99)
)
def test_the_chain_agrees_with_every_sequence_written_out(lengths, labels, seed):
    torch.manual_seed(seed)
    chain = LinearChain(labels)
    chain.transitions.data.normal_()
    emissions = torch.randn(len(lengths), max(lengths), len(labels))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    every = [brute(chain, row[:length]) for row, length in zip(emissions, lengths, strict=True)]
    gold = [random.Random(seed).choice(sorted(scores)) for scores in every]
    tags = torch.zeros_like(mask, dtype=torch.long)
    for row, path in enumerate(gold):
        tags[row, : len(path)] = torch.tensor(path)
    partition = [torch.tensor(list(scores.values())).logsumexp(0) for scores in every]
    nats = [total - scores[path] for total, scores, path in zip(partition, every, gold, strict=True)]
    assert torch.allclose(chain(emissions, tags, mask), torch.stack(nats), atol=1e-3)
    for row, (length, scores) in enumerate(zip(lengths, every, strict=True)):
        best = chain.decode(emissions, mask)[row, :length]
        assert tuple(best.tolist()) == max(scores, key=scores.__getitem__)
        assert fault([labels[tag] for tag in best], "BIOES" if labels is BIOES else "BIO") is None


def toy_names(folder: Path, count: int) -> None:
    """Sentences in which people have a title and places are known: what a small model can learn by heart."""
    rng = random.Random(0)
    lines = []
    for number in range(count):
        person = [(rng.choice(TITLES), "B-PER"), (rng.choice(NAMES), "I-PER")]
        place = [(rng.choice(PLACES), "B-LOC")]
        plain = [[(word, "O")] for word in rng.choices(PLAIN, k=rng.randint(2, 6))]
        parts = [person, place, *plain, [(str(number), "O")]]
        rng.shuffle(parts)
        lines += [f"{word}\t{tag}\n" for part in parts for word, tag in part] + ["\n"]
    (folder / "names.conll").write_text("".join(lines))


@pytest.mark.parametrize("crf", ["false", "true"])
def test_32_sentences_are_learned_by_heart_and_told_again(
    toy: Path, lab: Callable[..., Result], crf: str
) -> None:
    toy_names(toy, 32)
    source = "{train: file://names.conll, val: file://names.conll, test: file://names.conll}"
    result = lab(
        *TASK, *QUIET, f"data.source={source}", "data.leaks=keep", "data.scheme=BIOES", f"task.crf={crf}",
        "data.batch_size=8", "trainer.max_epochs=30", "optimizer.lr=2e-2", "callbacks.early_stopping=null",
    )  # fmt: skip
    assert result.code == 0, result.err
    metrics = read(toy / "run")
    assert metrics["test/f1"] > 0.97
    assert metrics["baseline/gazetteer/f1"] > metrics["baseline/majority/f1"] == 0
    said = {key: value for key, value in metrics.items() if key.endswith(("/PER", "/LOC"))}
    assert said.pop("test/support/PER") == said.pop("test/support/LOC") == 32
    assert sorted(said) == [
        f"test/{name}/{kind}" for name in ("f1", "precision", "recall") for kind in ("LOC", "PER")
    ]
    assert metrics["test/macro_f1"] == pytest.approx((said["test/f1/PER"] + said["test/f1/LOC"]) / 2)
    row = f"| PER | {said['test/precision/PER']:.3f} | {said['test/recall/PER']:.3f} | {said['test/f1/PER']:.3f} | 32 |"
    assert row in (toy / "run" / "report.md").read_text()
    again = lab("evaluate", "run")
    assert again.code == 0, again.err
    (kept,) = (toy / "run" / "evaluations").glob("*.json")
    assert json_of(kept)["metrics"]["test/f1"] == pytest.approx(metrics["test/f1"], abs=1e-6)
    said = lab("predict", "run", "--input", "names.conll", "--output", "said.conll")
    assert said.code == 0, said.err
    assert tagged_as(toy / "said.conll") == pytest.approx(metrics["test/f1"], abs=1e-6)


def tagged_as(path: Path) -> float:
    """F1 of the last column against the second, which seqeval reads in any scheme."""
    sentences = [block.splitlines() for block in path.read_text().strip().split("\n\n")]
    columns = [[line.split("\t") for line in sentence] for sentence in sentences]
    true, told = ([[line[place] for line in sentence] for sentence in columns] for place in (1, 2))
    return float(seqeval.f1_score(true, told))


def json_of(path: Path):
    return json.loads(path.read_text())


def read(run: Path):
    return json_of(run / "metrics.json")


def test_the_artifact_is_a_plain_pipeline(toy: Path, lab: Callable[..., Result]) -> None:
    from transformers import pipeline

    toy_names(toy, 40)
    source = "{train: file://names.conll, test: file://names.conll}"
    result = lab(*TASK, *QUIET, f"data.source={source}", "data.leaks=keep", "+debug=smoke", "task.crf=false")
    assert result.code == 0, result.err
    texts = ["Dr anna went to rome", "then bob said"]
    (toy / "in.txt").write_text("\n".join(texts) + "\n")
    assert lab("predict", "run", "--input", "in.txt", "--output", "out.jsonl").code == 0
    plain = pipeline("token-classification", str(toy / "run" / "model"), ignore_labels=[])
    for text, line in zip(texts, (toy / "out.jsonl").read_text().splitlines(), strict=True):
        starts = {sum(len(word) + 1 for word in text.split()[:n]): n for n in range(len(text.split()))}
        theirs = [piece["entity"] for piece in plain(text) if piece["start"] in starts]
        assert json.loads(line)["tags"] == theirs


def test_two_steps_over_long_sentences(toy: Path, lab: Callable[..., Result]) -> None:
    toy_names(toy, 60)
    joined = (toy / "names.conll").read_text().replace("\n\n", "\n") + "\n"
    (toy / "long.conll").write_text(joined)
    source = "{train: file://names.conll, val: file://long.conll, test: file://long.conll}"
    result = lab(
        *TASK, *QUIET, f"data.source={source}", "data.leaks=keep", "+debug=smoke", "data.max_length=24",
        "task.crf=true", "task/regularizers=r_drop",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert 0 <= read(toy / "run")["test/accuracy"] <= 1


def test_other_data_are_refused(toy: Path, lab: Callable[..., Result]) -> None:
    result = lab("+experiment=toy", "+debug=smoke", "task=token_classification", "hydra.run.dir=run")
    assert result.code == 2
    assert "task=sequence_classification" in result.err
