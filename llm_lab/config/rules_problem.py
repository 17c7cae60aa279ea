"""Rules that keep data, task and baselines to one kind of problem; they import nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_lab.config.fault import Fault
from llm_lab.config.rules import Values, get, rule

LABELS = ("single_label", "multi_label", "regression")
DATA = {
    "CorpusData": "language",
    "GraphQuestionData": "entities",
    "MultipleChoiceData": "choice",
    "PairData": "pairs",
    "QuestionAnsweringData": "span",
    "TokenClassificationData": "tokens",
    "TripleData": "triples",
}
TEXT_TRANSFORMS = ("Normalize", "Template")
READERS = ("BiEncoder", "Reranker")  # of the names in a graph
LANGUAGE = ("CausalLM", "MaskedLM", "NextSentence", "ReplacedToken", "SpanCorruption")
TASKS: Mapping[str, tuple[str, ...]] = {
    "SequenceClassification": LABELS,
    "TokenClassification": ("tokens",),
    "QuestionAnswering": ("span",),
    "MultipleChoice": ("choice",),
    "Contrastive": ("pairs",),
    "LinkPrediction": ("triples",),
    "GraphQuestions": ("entities",),
    "CrossModal": ("modalities",),
    "SpeechRecognition": ("transcript",),
    "SpeechToText": ("transcript",),
    "Captioning": ("transcript",),
    **dict.fromkeys(LANGUAGE, ("language",)),
}
BASELINES: Mapping[str, tuple[str, ...]] = {
    "majority.Majority": LABELS,
    "tfidf.TfIdf": LABELS,
    "linear.Linear": LABELS,
    "gazetteer.Gazetteer": ("tokens",),
    "gazetteer.MajorityTag": ("tokens",),
    "overlap.Overlap": ("span",),
    "overlap.ChoiceOverlap": ("choice",),
    "bm25.BM25": ("pairs",),
    "untouched.Untouched": ("pairs",),
    "ngram.NGram": ("language",),
    "frequency.Frequency": ("triples",),
    "answers.CommonAnswer": ("entities",),
    "answers.CommonPath": ("entities",),
    "modalities.Chance": ("modalities",),
    "modalities.Neighbour": ("modalities",),
    "transcripts.CommonText": ("transcript",),
    "transcripts.CommonWords": ("transcript",),
    "transcripts.NearestRow": ("transcript",),
}
SUITED = {
    "single_label": ("sequence_classification", "text_classification"),
    "multi_label": ("multi_label_classification", "text_classification"),
    "regression": ("text_regression", "text_classification"),
    "tokens": ("token_classification", "token_classification"),
    "span": ("question_answering", "question_answering"),
    "choice": ("multiple_choice", "multiple_choice"),
    "pairs": ("contrastive", "retrieval"),
    "triples": ("link_prediction", "link_prediction"),
    "entities": ("graph_questions", "graph_questions"),
    "modalities": ("cross_modal", "cross_modal"),
    "transcript": ("captioning`, `task=speech_to_text` or `task=speech_recognition", "transcripts"),
    "language": ("masked_lm` or `task=causal_lm", "language"),
}


def problem_of(values: Values) -> str | None:
    """What a target of the data is; None for a data module that is not ours."""
    problem = DATA.get(_class(get(values, "data._target_"))) or get(values, "data.problem")
    return problem if problem in SUITED else None


@rule
def the_task_suits_the_data(values: Values) -> Iterator[Fault]:
    """A task of ours learns from the targets that the data have."""
    problem, task = problem_of(values), _class(get(values, "task._target_"))
    if problem and problem not in TASKS.get(task, (problem,)):
        yield Fault(
            key="task",
            message=f"{task} does not learn from these data, whose problem is `{problem}`",
            suggestion=f"`task={SUITED[problem][0]}`, or other data",
        )


@rule
def the_objective_suits_the_model(values: Values) -> Iterator[Fault]:
    """Models of a graph that read texts bring an objective of their own."""
    model, objective = _class(get(values, "model._target_")), get(values, "task.objective")
    task = _class(get(values, "task._target_"))
    if model in READERS and task == "LinkPrediction" and objective != "contrastive":
        yield Fault(
            key="task.objective",
            message=f"{model} does not learn by `{objective}`, but from the other entities of its batch",
            suggestion="`task.objective=contrastive`, or `+experiment=text_link_prediction`",
        )


@rule
def the_baselines_suit_the_data(values: Values) -> Iterator[Fault]:
    """A baseline of ours answers the question that the data ask."""
    problem, nodes = problem_of(values), get(values, "baseline")
    if not problem or not isinstance(nodes, Mapping) or get(values, "mode.baseline") is False:
        return
    for name, node in nodes.items():
        target = str(get(node, "_target_") or "").removeprefix("llm_lab.baselines.")
        if problem not in BASELINES.get(target, (problem,)):
            yield Fault(
                key=f"baseline.{name}",
                message=f"{target.rpartition('.')[2]} cannot be measured on data whose problem is `{problem}`",
                suggestion=f"`baseline={SUITED[problem][1]}`",
            )


@rule
def transforms_suit_the_rows(values: Values) -> Iterator[Fault]:
    """A tag belongs to a word, so what changes a tagged sentence has to say where its words go."""
    nodes = get(values, "data.transforms")
    if problem_of(values) != "tokens" or not isinstance(nodes, Mapping):
        return
    for name, node in nodes.items():
        if (kind := _class(get(node, "_target_"))) in TEXT_TRANSFORMS:
            yield Fault(
                key=f"data.transforms.{name}",
                message=f"{kind} changes a text as a whole, not word by word, and the tags would be lost",
                suggestion="`data/transforms=word_noise`, or word_dropout",
            )


@rule
def the_corpus_is_laid_out_for_the_objective(values: Values) -> Iterator[Fault]:
    """Causal models get the next tokens from the data, others make their own targets; next sentences come in pairs."""
    task = _class(get(values, "task._target_"))
    if task not in LANGUAGE or problem_of(values) != "language":
        return
    causal = task == "CausalLM"
    if get(values, "data.next_token") is not causal:
        yield Fault(
            key="data.next_token",
            message=f"{task} {'needs the next tokens as labels' if causal else 'makes its own targets'}",
            suggestion=f"`data.next_token={str(causal).lower()}`",
        )
    paired = get(values, "data.layout") == "sentence_pairs"
    if paired is not (task == "NextSentence"):
        layout = "packed" if paired else "sentence_pairs"
        yield Fault(
            key="data.layout",
            message=f"{task} learns from rows that are {'not ' if paired else ''}pairs of sentences",
            suggestion=f"`data.layout={layout}`",
        )


def _class(target: Any) -> str:
    """The name of a class of ours; empty for any other."""
    name = str(target or "")
    return name.rpartition(".")[2] if name.startswith("llm_lab.") else ""
