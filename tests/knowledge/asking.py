"""Questions over a small graph of families, and an encoder that is small enough to learn them in a test."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

FORMS = {
    ("child_of", "lives_in"): ("where does {} 's parent live ?", "in which town is the parent of {} ?"),
    ("child_of", "works_as"): ("what is {} 's parent by trade ?", "which trade has the parent of {} ?"),
    ("parent_of", "likes"): ("what does a child of {} like ?", "which food do the children of {} like ?"),
}
TRADES, FOODS = ("baker", "miner", "judge"), ("soup", "rice", "figs", "plums")
WORDS = sorted({word for forms in FORMS.values() for form in forms for word in form.split()} - {"{}"})


def graph(families: int = 12) -> list[tuple[str, str, str]]:
    """Triples of families of one parent and two children, who like something each."""
    found = []
    for number in range(families):
        parent = f"parent_{number}"
        found += [(parent, "lives_in", f"town_{number % 5}"), (parent, "works_as", TRADES[number % 3])]
        for place, child in enumerate((f"kid_{number}a", f"kid_{number}b")):
            food = FOODS[(number + place) % 4]
            found += [(parent, "parent_of", child), (child, "child_of", parent), (child, "likes", food)]
    return found


def questions(families: int = 12) -> list[str]:
    """Lines in PathQuestion's format: every topic asked for every path in two forms, all right answers listed."""
    triples, lines = graph(families), []
    for topic in dict.fromkeys(head for head, _, _ in triples):
        for relations, forms in FORMS.items():
            paths = [[topic]]
            for relation in relations:
                paths = [
                    [*path, relation, tail] for path in paths for head, kind, tail in triples
                    if (head, kind) == (path[-1], relation)
                ]  # fmt: skip
            answers = "/".join(dict.fromkeys(path[-1] for path in paths))
            for path in paths:
                asked = f"{path[-1]}({answers}/)\t{'#'.join([*path, '<end>', path[-1]])}"
                lines += [f"{form.format(topic)}\t{asked}" for form in forms[: 2 if path == paths[0] else 0]]
    return lines


def write_questions(folder: Path, families: int = 12) -> dict[str, str]:
    """The graph and the questions as files; returns their addresses."""
    (folder / "kb.txt").write_text("".join("\t".join(triple) + "\n" for triple in graph(families)))
    (folder / "asked.txt").write_text("".join(f"{line}\n" for line in questions(families)))
    return {"source": f"file://{folder}/kb.txt", "questions": f"file://{folder}/asked.txt"}


def write_encoder(folder: Path) -> Path:
    """A BERT of two layers that knows the words and letters of the questions."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789_"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *dict.fromkeys([*WORDS, *letters, *(f"##{one}" for one in letters)])]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in vocabulary))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.1,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    return folder


def write_choice(folder: Path, files: dict[str, str]) -> None:
    """`knowledge=asked`: a graph of the user's own, with questions."""
    recipe = (
        "{dim: 32, objective: one_vs_all, label_smoothing: 0.0, n3: 0.0, dropout: 0.0, lr: 0.1, batch_size: 32,"
        " epochs: 30, validate_every: 10, patience: 6,"
        " reader: {lr: 2.0e-3, epochs: {text: 30, embeddings: 30, paths: 30, joined: 30}}}"
    )
    lines = [
        "# Asked.",
        "name: asked",
        "licence: none",
        "negatives: null",
        "labels: null",
        f"recipe: {recipe}",
    ]
    lines += [f"{key}: {json.dumps(uri)}" for key, uri in files.items()]
    path = folder / "conf/knowledge/asked.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")
