"""Rules that say before any data are made what a way to tune little cannot do; they import nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator

from llm_lab.config.fault import Fault
from llm_lab.config.rules import Values, get, rule

PREFIX = "llm_lab.peft.prompts.prefix"
PROMPTS = ("llm_lab.peft.prompts.prompt", "llm_lab.peft.prompts.p_tuning")
MASKED = ("MaskedLM", "NextSentence", "ReplacedToken")


@rule
def vectors_in_front_suit_rows_and_objective(values: Values) -> Iterator[Fault]:
    """Prompts and prefixes belong to a row of one text; prompts move the places that a masked model is asked at."""
    target, task = (
        str(get(values, "peft._target_") or ""),
        str(get(values, "task._target_") or "").rpartition(".")[2],
    )
    if target not in {PREFIX, *PROMPTS}:
        return
    if get(values, "data.layout") == "packed":
        yield Fault(
            key="peft",
            message="vectors in front of a row would belong to the first of its documents alone",
            suggestion="`data.layout=documents`, or `peft=lora`",
        )
    if target in PROMPTS and task in MASKED:
        yield Fault(
            key="peft",
            message=f"{task} is asked at the places of tokens, which a prompt moves",
            suggestion="`peft=lora`, or `peft=prefix` with `data.layout=documents`",
        )
    if str(get(values, "model._target_")).startswith("llm_lab.models.fusion."):
        yield Fault(
            key="peft",
            message="vectors in front of a text belong to one text model, not to several towers",
            suggestion="`peft=lora`, dora, ia3, adapter, bitfit or linear_probe",
        )
    if target == PREFIX and get(values, "model.architecture") == "modernbert":
        yield Fault(
            key="peft",
            message="ModernBERT takes no keys and values from outside",
            suggestion="`peft=prompt`",
        )
    if task in {"MultipleChoice", "SpanCorruption"}:
        reads = "reads several texts a row" if task == "MultipleChoice" else "has an encoder and a decoder"
        yield Fault(
            key="peft", message=f"a model of {task} {reads}", suggestion="`peft=lora`, ia3 or adapter"
        )
