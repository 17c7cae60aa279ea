"""What a saved model says of rows that it has not seen: a predictor per kind of problem."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from llm_lab.errors import RunError
from llm_lab.predictors.predictor import FACTS, MODEL, Predictor

KINDS = {
    "single_label": "classifier:Classifier",
    "multi_label": "classifier:Classifier",
    "regression": "classifier:Classifier",
    "tokens": "tagger:Tagger",
    "span": "reader:Reader",
    "choice": "chooser:Chooser",
    "pairs": "retriever:Retriever",
    "language": "language:LanguageScorer",
    "triples": "completer:Completer",
    "entities": "answerer:Answerer",
}
MANIFEST = {  # of models that read several kinds of columns
    **dict.fromkeys(("single_label", "multi_label", "regression"), "manifest:ManifestClassifier"),
    "modalities": "manifest:ManifestEmbedder",
}
TASKS = {
    "ReplacedToken": "detector:Detector",
    "SpanCorruption": "filler:Filler",
    "SpeechRecognition": "transcriber:Transcriber",
    "SpeechToText": "transcriber:Writer",
    "Captioning": "transcriber:Captioner",
}  # that say something else than their problem's others


def predictor(folder: Path) -> Predictor:
    """The predictor of a run directory, or of a model folder itself.

    Raises:
        RunError: the folder holds no model of ours.
    """
    source = folder / MODEL if (folder / MODEL).is_dir() else folder
    if not (source / FACTS).is_file():
        raise RunError(f"{folder} holds no model: there is no {source / FACTS}")
    facts: dict[str, Any] = json.loads((source / FACTS).read_text(encoding="utf-8"))
    kinds = MANIFEST if facts.get("inputs") else KINDS
    module, name = (TASKS.get(facts["task"]) or kinds[facts["problem"]]).split(":")
    kind = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    made: Predictor = kind(folder=source, facts=facts)
    return made
