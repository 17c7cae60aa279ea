"""Rules that say before any data are made what injection cannot do; they import nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator

from llm_lab.config.fault import Fault
from llm_lab.config.rules import Values, get, rule
from llm_lab.config.rules_peft import PREFIX, PROMPTS

ROOM = "llm_lab.knowledge.injection."
NUMBERS, WORDS = f"{ROOM}annotators.EntityNumbers", f"{ROOM}annotators.Verbalize"
TAKERS = {NUMBERS: f"{ROOM}embeddings.EntityEmbeddings", WORDS: f"{ROOM}visibility.Visibility"}
ROOMY = ("TextClassificationData", "TokenClassificationData", "QuestionAnsweringData")
NO_PLACES = ("gpt2", "llama", "modernbert", "t5")  # architectures whose places cannot be soft


def _targets(values: Values, key: str) -> dict[str, str]:
    """Target of each node of a mapping, by the node's name."""
    nodes = get(values, key) or {}
    return {name: str(get(node, "_target_") or "") for name, node in nodes.items()}


@rule
def injection_needs_a_graph(values: Values) -> Iterator[Fault]:
    """What is injected comes from the graph that `knowledge=` names."""
    names = [name for name, target in _targets(values, "data.transforms").items() if target in TAKERS]
    if names and not get(values, f"data.transforms.{names[0]}.graph"):
        yield Fault(
            key=f"data.transforms.{names[0]}.graph",
            message="injection needs a graph, and `knowledge` is null",
            suggestion="choose one: `knowledge=companies` (`list knowledge` shows them all)",
        )


@rule
def the_data_have_places(values: Values) -> Iterator[Fault]:
    """What is known of a part of a text stands at its tokens, for which not all rows have room."""
    names = [name for name, target in _targets(values, "data.transforms").items() if target in TAKERS]
    data = str(get(values, "data._target_") or "")
    if names and data.startswith("llm_lab.") and data.rpartition(".")[2] not in ROOMY:
        yield Fault(
            key=f"data.transforms.{names[0]}",
            message="these data take no row transforms that tell of places, and so no `knowledge/injection=`",
            suggestion="data of texts with labels, of tagged words or of questions about a text",
        )


@rule
def what_is_beside_the_tokens_is_taken_out(values: Values) -> Iterator[Fault]:
    """Columns that the model does not know need the wrapper that takes them."""
    wrappers = set(_targets(values, "model.wrappers").values())
    for name, target in _targets(values, "data.transforms").items():
        fills = target == NUMBERS or get(values, f"data.transforms.{name}.visibility") is True
        if target in TAKERS and fills and TAKERS[target] not in wrappers:
            yield Fault(
                key=f"data.transforms.{name}",
                message=f"its numbers reach the model through {TAKERS[target]}, which is not among model.wrappers",
                suggestion="take away both, by `knowledge/injection=null`, or neither",
            )


@rule
def the_model_can_be_injected(values: Values) -> Iterator[Fault]:
    """Vectors in front of a row move its tokens; soft places need a model that numbers them."""
    targets = _targets(values, "data.transforms").values()
    if not any(target in TAKERS for target in targets):
        return
    if get(values, "peft._target_") in {PREFIX, *PROMPTS}:
        yield Fault(
            key="peft",
            message="vectors in front of a row move the tokens at which knowledge is injected",
            suggestion="`peft=lora`, ia3 or adapter",
        )
    architecture = get(values, "model.architecture")
    soft = any(get(node, "visibility") is True for node in (get(values, "data.transforms") or {}).values())
    if soft and architecture in NO_PLACES:
        yield Fault(
            key="data.transforms.knowledge.visibility",
            message=f"a {architecture} has no places of tokens that could be soft",
            suggestion="a model of the BERT family, or visibility=false",
        )
