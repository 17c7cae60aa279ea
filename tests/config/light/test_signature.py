"""Signatures are read from source, and nothing is imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llm_lab.config.signature import Signature, signature_of
from tests.config.light.conftest import TOYS


def read(target: str) -> Signature:
    found = signature_of(target)
    assert found is not None
    return found


def shape(target: str) -> dict[str, str]:
    """Each argument's type, with a `!` where it must be given."""
    return {
        name: f"{item.type}{'!' if item.required else ''}" for name, item in read(target).parameters.items()
    }


MODEL = {
    "spec": "any!",
    "width": "int!",
    "dropout": "float or null",
    "pooling": "one of cls, mean",
    "frozen": "a list of int",
    "source": "a text",
    "tokenizer": "a mapping or null",
    "wrappers": "a mapping or null",
}


def test_a_class_and_one_that_inherits_its_constructor() -> None:
    assert shape(f"{TOYS}.Model") == MODEL
    assert shape(f"{TOYS}.Deep") == MODEL


def test_a_constructor_that_passes_on_the_rest() -> None:
    assert shape(f"{TOYS}.Deeper") == {key: item.rstrip("!") for key, item in MODEL.items()} | {
        "depth": "int!"
    }
    assert not read(f"{TOYS}.Deeper").open


def test_a_dataclass() -> None:
    assert shape(f"{TOYS}.Data") == {
        "batch_size": "int",
        "source": "a text or null",
        "columns": "a mapping of a text",
        "tokenizer": "a mapping or null",
        "seed": "int",
    }


def test_a_function() -> None:
    assert shape(f"{TOYS}.sgd") == {
        "model": "any!",
        "lr": "float!",
        "momentum": "float",
        "nesterov": "true or false",
    }


@pytest.mark.parametrize(
    ("target", "argument", "kind"),
    [
        ("torch.optim.AdamW", "weight_decay", "float"),  # re-exported
        ("pytorch_lightning.Trainer", "max_epochs", "int or null"),  # under a decorator, re-exported twice
        ("pytorch_lightning.callbacks.EarlyStopping", "patience", "int"),
        (
            "torchmetrics.classification.MulticlassAccuracy",
            "average",
            "one of micro, macro, weighted, none or null",
        ),
        ("llm_lab.config.schema.Expected", "minutes", "float or null"),
        ("argparse.ArgumentParser", "prog", "any"),
        ("json.JSONDecoder.decode", "s", "any!"),
    ],
)
def test_libraries(target: str, argument: str, kind: str) -> None:
    assert shape(target)[argument] == kind


@pytest.mark.parametrize(
    "target", ["os.system", "nowhere.Thing", f"{TOYS}.Nothing", "time.sleep", "", "a b.c", "json"]
)
def test_what_no_source_shows(target: str) -> None:
    assert signature_of(target) is None


def test_nothing_is_imported() -> None:
    code = (
        "import sys; from llm_lab.config.signature import signature_of as read\n"
        "assert read('pytorch_lightning.callbacks.EarlyStopping').parameters\n"
        "assert read('torchmetrics.classification.MulticlassF1Score').parameters\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'pytorch_lightning', 'torchmetrics')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_for_a_type_is_read_where_it_is_defined() -> None:
    freeze = "one of embeddings, backbone or int or true or false or null"
    assert shape("llm_lab.models.text_tower.Text")["freeze"] == freeze  # imported by the tower
    assert shape("llm_lab.data.multimodal.image.Image")["size"] == "int or a list of 2 int!"
