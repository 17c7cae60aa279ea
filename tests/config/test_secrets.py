"""What is stored, shown and sent holds no secret, and loads back to the same values."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from llm_lab.config.environment import literal
from llm_lab.config.secrets import escape_cell, is_secret, mask, masker, storable

VALUE = "not-to-be-seen-42"
NAME = "LLM_LAB_TEST_TOKEN"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, VALUE)
    monkeypatch.delenv("LLM_LAB_TEST_ABSENT", raising=False)


def stored(**values: Any) -> dict[str, Any]:
    plain = storable(OmegaConf.create(values))
    assert VALUE not in json.dumps(plain)
    return plain


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:LLM_LAB_TEST_TOKEN}",
        "${oc.env:LLM_LAB_TEST_TOKEN,fallback}",
        "before-${oc.env:LLM_LAB_TEST_TOKEN}/after",
        "${oc.decode:${oc.env:LLM_LAB_TEST_TOKEN}}",
        "${oc.select:other}",
        "${other}",
        "x${other}y",
        r"\${kept} ${other}",
        r"C:\\${other}",
    ],
)
def test_environment_values_stay_text_and_resolve_again(text: str) -> None:
    config = OmegaConf.create({"other": "${oc.env:LLM_LAB_TEST_TOKEN}", "value": text})
    plain = storable(config)
    assert "${" in plain["value"]
    assert VALUE not in plain["value"]
    assert OmegaConf.create(plain).value == config.value
    assert VALUE in config.value


def test_an_environment_value_goes_through_lists_and_copied_mappings() -> None:
    plain = stored(a={"b": ["${oc.env:LLM_LAB_TEST_TOKEN}"]}, copy="${a}")
    assert plain["copy"] == plain["a"] == {"b": ["${oc.env:LLM_LAB_TEST_TOKEN}"]}


@example(default="\u0130")  # lower case of it begins with an ASCII letter
@given(default=st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_a_default_survives_being_stored(default: str | None) -> None:
    resolver = "${oc.env:LLM_LAB_TEST_ABSENT," + ("null" if default is None else "${fallback}") + "}"
    config = OmegaConf.create({"value": f"x{resolver}"})
    config.fallback = default and literal(default)
    again = OmegaConf.create(storable(config))
    del again["fallback"]
    assert again.value == f"x{default}"


@given(text=st.text(st.sampled_from("\\${}x'\" :,")))
def test_any_text_loads_back_as_it_was(text: str) -> None:
    config = OmegaConf.create({"value": literal(text)})
    assert config.value == text
    assert OmegaConf.create(storable(config)).value == text


def test_other_interpolations_are_resolved_and_other_values_kept() -> None:
    plain = stored(seed=3, copy="${seed}", none=None, list=[1.5, True], missing="???", escaped=r"\${x}")
    assert plain == {
        "seed": 3,
        "copy": 3,
        "none": None,
        "list": [1.5, True],
        "missing": "???",
        "escaped": r"\${x}",
    }


def test_what_resolves_only_in_a_job_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    assert stored(folder="${hydra:runtime.output_dir}")["folder"] == "${hydra:runtime.output_dir}"


def test_a_config_is_not_changed_by_being_stored() -> None:
    config = OmegaConf.create({"value": "${oc.env:LLM_LAB_TEST_TOKEN}", "now": "${now:%Y}"})
    storable(config)
    assert config.value == VALUE
    assert OmegaConf.to_container(config, resolve=False)["value"] == "${oc.env:LLM_LAB_TEST_TOKEN}"


def test_an_interpolation_that_fails_leaves_the_environment_readable() -> None:
    storable(OmegaConf.create({"bad": "${nothing}"}))
    assert OmegaConf.create({"value": "${oc.env:LLM_LAB_TEST_TOKEN}"}).value == VALUE


def test_literal_secrets_become_stars_wherever_they_stand() -> None:
    plain = stored(
        wandb={"api_key": "0123456789abcdef", "entity": "me"},
        password=12345678,
        credentials={"user": "me@home", "pin": "0000"},
        url="https://host/?key=0123456789abcdef",
        same="0123456789abcdef",
        ftp="ftp://user:hunter2@host/file",
        token="",
        secret=None,
    )
    assert plain == {
        "wandb": {"api_key": "***", "entity": "me"},
        "password": "***",
        "credentials": {"user": "***", "pin": "***"},
        "url": "https://host/?key=***",
        "same": "***",
        "ftp": "ftp://user:***@host/file",
        "token": "",
        "secret": None,
    }


@pytest.mark.parametrize(
    "key",
    ["token", "api_key", "apikey", "WANDB_API_KEY", "HF_TOKEN", "password", "db_password", "client_secret"],
)
def test_keys_that_look_secret(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key", ["tokenizer", "mask_token", "max_tokens", "num_tokens", "pad_token_id", "key", 3]
)
def test_keys_of_language_models_do_not(key: object) -> None:
    assert not is_secret(key)


def test_secrets_are_removed_from_free_text_in_every_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, 'pa"ss\\wört/1')
    config = OmegaConf.create({"a": "${oc.env:LLM_LAB_TEST_TOKEN}", "password": "h&nter 2"})
    text = '1 pa"ss\\wört/1 2 pa\\"ss\\\\w\\u00f6rt/1 3 pa%22ss%5Cw%C3%B6rt%2F1 4 h&nter 2 5 h%26nter%202 ftp://a:b@c'
    assert mask(text, config) == "1 *** 2 *** 3 *** 4 *** 5 *** ftp://a:***@c"


def test_a_traceback_shows_no_environment_value() -> None:
    config = {"logger": {"wandb": {"api_key": "${oc.env:LLM_LAB_TEST_TOKEN}"}}}
    assert mask(f"ValueError: bad key {VALUE!r}", config) == "ValueError: bad key '***'"


def test_short_and_ordinary_texts_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_LAB_TEST_USER", "root")
    masked = masker(OmegaConf.create({"user": "${oc.env:LLM_LAB_TEST_USER}", "pin": {"secret": "ab"}}))
    assert masked("the root of it: abacus") == "the root of it: abacus"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1",
        "=cmd|' /C calc'!A0",
        "＝1+1",
        "-",
        "+49 30 1234",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "1", "-1", "+1.5", "-1e-3", ".5", "-.5", "1=1", "a-b", "a@b", "nan", "-inf"]
)
def test_numbers_and_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert escape_cell(text) == text


@given(text=st.text())
def test_a_cell_never_starts_a_formula_and_keeps_its_text(text: str) -> None:
    cell = escape_cell(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert cell[:1] not in {"=", "@", "\t", "\r"}
    assert cell[:1] not in {"+", "-"} or float(cell.rstrip("%")) is not None
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow([cell, "next"])
    assert next(csv.reader(io.StringIO(buffer.getvalue(), newline=""))) == [cell, "next"]
