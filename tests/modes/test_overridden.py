"""The words behind `evaluate RUN` change its stored config."""

from __future__ import annotations

import pytest
from omegaconf import DictConfig

from llm_lab.config.compose import compose
from llm_lab.errors import ConfigError
from llm_lab.modes.evaluate import overridden


def stored() -> DictConfig:
    """A config as a run keeps it."""
    return compose(["data=squad", "task=question_answering", "data.source=file://old.json"]).config


def test_words_fill_what_a_choice_leaves_open() -> None:
    config = overridden(stored(), ["data=squad", "data.source=file://new.json", "data.licence=mine"])
    assert (config.data.source, config.data.licence) == ("file://new.json", "mine")


def test_what_stays_open_is_named() -> None:
    with pytest.raises(ConfigError, match=r"data.source: a value is missing; add data.source=..."):
        overridden(stored(), ["data=squad"])


def test_a_word_that_names_no_key_is_still_refused() -> None:
    with pytest.raises(ConfigError, match=r"data.sourc: .* no such key; did you mean `data.source`"):
        overridden(stored(), ["data=squad", "data.sourc=file://new.json"])
