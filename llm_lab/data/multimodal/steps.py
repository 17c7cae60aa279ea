"""The step that a source asks for between reading and cleaning."""

from __future__ import annotations

from llm_lab.config import build
from llm_lab.data.multimodal.joined import JoinRows
from llm_lab.data.multimodal.made import RowStep
from llm_lab.data.multimodal.spoken import SpeakRows
from llm_lab.data.source import Source
from llm_lab.errors import ConfigError

STEPS: dict[str, type[RowStep]] = {"joined": JoinRows, "spoken": SpeakRows}


def row_step(source: Source) -> RowStep | None:
    """The step of a source; None where rows are used as they are read.

    Raises:
        ConfigError: more than one, or settings that it does not take.
    """
    asked = [name for name in STEPS if getattr(source, name) is not None]
    key = f"data.source.{source.name}".rstrip(".")
    if len(asked) > 1:
        raise ConfigError(f"{key}: one of {' and '.join(asked)} can be done with rows, not both")
    for name in asked:
        kind = STEPS[name]
        node = {"_target_": f"{kind.__module__}.{kind.__name__}", **getattr(source, name)}
        return build(node, expected=RowStep, key=f"{key}.{name}")
    return None
