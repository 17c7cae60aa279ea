"""JSON Schemas: right by their own rules, and right about our configs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf
from referencing import Registry, Resource

from llm_lab.config.json_schema import schemas
from llm_lab.config.search_path import Layer, configs, layers
from tests.conftest import ROOT, Result


def validators(found: list[Layer]) -> dict[str, Any]:
    written = schemas(found)
    resources = [(f"{name}.json", Resource.from_contents(schema)) for name, schema in written.items()]
    registry: Any = Registry().with_resources(resources)
    return {name: Draft202012Validator(schema, registry=registry) for name, schema in written.items()}


@pytest.mark.parametrize("root", [None, ROOT / "conf"], ids=["small tree", "shipped"])
def test_every_config_fits_its_schema(tree: Path, root: Path | None) -> None:
    found = layers(root=root)
    known = validators(found)
    for name, validator in known.items():
        validator.check_schema(validator.schema)
        assert validator.schema["title"], name
    checked = 0
    for name in configs(found[0].folder):
        schema = name if name in known else name.partition("/")[0]
        if schema in known:
            data = OmegaConf.to_container(OmegaConf.load(found[0].folder / f"{name}.yaml"), resolve=False)
            errors = [
                f"{error.json_path}: {error.message[:200]}" for error in known[schema].iter_errors(data)
            ]
            assert not errors, (name, errors)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("model/small", {"_target_": "tests.config.light.toys.Model", "widht": 3}),
        ("model/small", {"_target_": "tests.config.light.toys.Model", "width": "wide"}),
        ("model/small", {"_target_": "tests.config.light.toys.Deep", "width": 3}),
        ("model/small", {"_target_": "tests.config.light.toys.Model", "spec": 3}),
        ("experiment", {"optimizer": {"lrr": 3}}),
        ("experiment", {"optimiser": {"lr": 3}}),
        ("experiment", {"expected": {"valu": 3}}),
        ("config", {"seed": "abc"}),
    ],
)
def test_what_is_wrong_does_not_fit(tree: Path, schema: str, data: dict[str, Any]) -> None:
    assert list(validators(layers())[schema].iter_errors(data))


def test_the_verb_writes_them_and_prints_the_hint(tree: Path, lab: Callable[..., Result]) -> None:
    result = lab("schema", "--output", "schemas")
    assert result.code == 0
    schema = json.loads(Path("schemas/model/small.json").read_text())
    assert schema["description"] == "A small model."
    assert schema["properties"]["width"]["anyOf"][0] == {"type": "integer"}
    hint = "model/small.yaml: # yaml-language-server: $schema=../../work/schemas/model/small.json"
    assert hint in result.out.splitlines()
