"""What is built, with which values, in which order, and what a user reads when it cannot be."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from llm_lab.config import build, build_all
from llm_lab.config.arguments import accepted, misfits
from llm_lab.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("gadgets")


def node(target: str, **values: Any) -> DictConfig:
    return OmegaConf.create({"_target_": f"gadgets.{target}", **values})


def kind(name: str = "Toy") -> Any:
    import gadgets

    return getattr(gadgets, name)


def message_of(part: Any, *, key: str = "toy", expected: str = "Toy", **injected: Any) -> str:
    with pytest.raises(ConfigError) as error:
        build(part, expected=kind(expected), key=key, **injected)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_builds_from_the_values_of_the_node() -> None:
    toy = build(node("Toy", size=3, colour="blue"), expected=kind(), key="toy")
    assert (toy.size, toy.colour) == (3, "blue")


def test_builds_a_nested_class_and_from_a_plain_dict() -> None:
    assert type(build({"_target_": "gadgets.Box.Lid"}, expected=kind(), key="toy")).__name__ == "Lid"


def test_interpolations_are_resolved_where_the_node_stands() -> None:
    config = OmegaConf.create({"size": 7, "toy": {"_target_": "gadgets.Toy", "size": "${size}"}})
    assert build(config.toy, expected=kind(), key="toy").size == 7


def test_nodes_inside_reach_the_constructor_as_plain_dicts() -> None:
    parts = {"lid": {"_target_": "gadgets.broken"}, "list": [{"_target_": "gadgets.broken"}]}
    built = build(node("Toy", parts=parts), expected=kind(), key="toy").parts
    assert built == parts
    assert type(built) is dict
    assert type(built["list"]) is list


def test_an_escaped_interpolation_is_a_text_and_stays_one() -> None:
    toy = build(node("Toy", colour=r"\${oc.env:HOME}"), expected=kind(), key="toy")
    assert toy.colour == "${oc.env:HOME}"
    assert (
        build({"_target_": "gadgets.Toy", "colour": toy.colour}, expected=kind(), key="toy").colour
        == toy.colour
    )


def test_injected_values_arrive_as_they_are() -> None:
    spec = kind("Spec")(labels=["a"])
    assert build(node("make", size=2), expected=kind(), key="toy", spec=spec).spec is spec


def test_what_a_target_has_no_parameter_for_is_not_injected() -> None:
    assert build(node("make_untold"), expected=kind(), key="toy", spec=object()).size == 1
    assert accepted(kind("make"), {"spec": 1, "total_steps": 2}) == {"spec": 1}


def test_an_injected_name_cannot_be_set_in_the_node() -> None:
    message = message_of(node("make", size=1, spec={"labels": []}), spec=kind("Spec")(labels=[]))
    assert message == "toy.spec: is given by the program and cannot be set here"


def test_an_unknown_argument_names_the_nearest() -> None:
    message = message_of(node("Toy", sise=1), key="optimizer")
    assert message == "optimizer.sise: gadgets.Toy has no argument `sise`; did you mean `size`?"


def test_every_missing_and_surplus_argument_is_told_at_once() -> None:
    found = [str(fault) for fault in misfits(kind("needs"), {"third": 3}, [], key="toy")]
    assert found == [
        "toy.third: gadgets.needs has no argument `third`; choose one of: first, second",
        "toy.first: gadgets.needs needs a value for it",
        "toy.second: gadgets.needs needs a value for it",
    ]


@pytest.mark.parametrize("name", ["_args_", "_convert_", "_partial_", "_recursive_"])
def test_a_node_cannot_change_how_it_is_built(name: str) -> None:
    assert message_of(node("Toy", **{name: None})).startswith(f"toy.{name}: is not allowed")


def test_a_class_of_another_kind_is_refused_before_it_is_made() -> None:
    assert message_of(node("Other")) == "toy._target_: gadgets.Other is no kind of Toy"


def test_a_function_that_says_it_gives_another_kind_is_not_called() -> None:
    assert (
        message_of(node("make_other"))
        == "toy._target_: gadgets.make_other gives Other, which is no kind of Toy"
    )


def test_a_function_that_does_not_say_what_it_gives_is_checked_afterwards() -> None:
    assert message_of(node("make_untold", size=2)).endswith(
        "gadgets.make_untold gave a Other, which is no Toy"
    )


def test_one_of_several_kinds_will_do() -> None:
    assert build(node("Other"), expected=(str, kind("Other")), key="toy").__class__ is kind("Other")


def test_a_refused_value_is_the_fault_of_the_config() -> None:
    message = message_of(node("picky", size=9))
    assert message == "toy: gadgets.picky does not take these values: size 9 is too large"


def test_our_own_errors_keep_their_kind_and_name_the_key() -> None:
    with pytest.raises(DataError, match=r"^data: train\.csv:3: no label$"):
        build(node("unreadable", path="train.csv"), expected=kind(), key="data")


def test_another_failure_keeps_its_cause_and_names_the_key() -> None:
    with pytest.raises(
        RuntimeError, match=r"^toy: gadgets\.broken failed: OSError: the disk is full$"
    ) as error:
        build(node("broken"), expected=kind(), key="toy")
    assert isinstance(error.value.__cause__, OSError)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (None, "toy: is null, but is needed here"),
        ({"size": 1}, "toy: has no _target_"),
        ([1], "toy: must be a mapping, not a list"),
        ("gadgets.Toy", "toy: must be a mapping, not a str"),
        ({"_target_": None}, "toy._target_: must be the dotted name of a class or a function, not None"),
    ],
)
def test_what_is_no_node_is_told(part: Any, message: str) -> None:
    assert message_of(part) == message


def test_a_broken_interpolation_names_its_own_key() -> None:
    config = OmegaConf.create({"toy": {"_target_": "gadgets.Toy", "size": "${nothing}"}})
    assert message_of(config.toy).startswith("toy.size: ")


def test_a_mapping_is_built_by_order_then_by_name_without_the_nulls() -> None:
    nodes = {
        "late": node("Toy", order=5, size=5),
        "gone": None,
        "b": node("Toy", size=2),
        "a": node("Toy", size=1),
        "first": node("Toy", order=-1, size=0),
    }
    built = build_all(OmegaConf.create(nodes), expected=kind(), key="callbacks")
    assert [(name, toy.size) for name, toy in built.items()] == [
        ("first", 0),
        ("a", 1),
        ("b", 2),
        ("late", 5),
    ]
    assert build_all(None, expected=kind(), key="callbacks") == {}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(orders=st.dictionaries(st.text("abcxyz", min_size=1), st.integers(-9, 9), max_size=5))
def test_the_order_does_not_depend_on_how_the_mapping_was_put_together(gadgets: Path, orders: Any) -> None:
    nodes = {name: node("Toy", order=order) for name, order in orders.items()}
    one = build_all(nodes, expected=kind(), key="toys")
    other = build_all(dict(reversed(nodes.items())), expected=kind(), key="toys")
    assert list(one) == list(other) == sorted(orders, key=lambda name: (orders[name], name))


@pytest.mark.parametrize("order", [1.5, "1", True])
def test_an_order_is_an_integer(order: Any) -> None:
    with pytest.raises(ConfigError, match=r"^callbacks\.a\.order: must be an integer"):
        build_all({"a": node("Toy", order=order)}, expected=kind(), key="callbacks")


def test_an_entry_of_a_mapping_is_a_node_or_null(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^callbacks\.a: must be a mapping with a _target_, or null, not 3$"
    ):
        build_all({"a": 3}, expected=kind(), key="callbacks")


def test_an_error_inside_a_mapping_names_the_entry() -> None:
    with pytest.raises(ConfigError, match=r"^callbacks\.a\._target_: gadgets\.Other is no kind of Toy$"):
        build_all({"a": node("Other")}, expected=kind(), key="callbacks")


def test_a_module_is_built_through_hydra_and_stays_callable() -> None:
    from torch import nn, ones

    layer = build(
        {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, expected=nn.Module, key="m"
    )
    assert layer(ones(1, 2)).shape == (1, 3)


def test_values_of_a_wrong_type_are_told_with_the_nearest_right_one() -> None:
    values = {"size": [16], "resize": "crpo", "channels": "three", "mean": (0.5, 0.5, 0.5), "std": object()}
    target = import_module("llm_lab.data.multimodal.image").Image
    assert [str(fault) for fault in misfits(target, values, [], key="picture")] == [
        "picture.size: must be int or a list of 2 int, not a list of 1",
        "picture.channels: must be int, not the text `three`",
        "picture.resize: must be one of stretch, crop, pad, not the text `crpo`; did you mean `crop`?",
    ]
