"""What is kept of frozen towers is what they would make again, and nothing is kept of others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_lab.models import feature_cache
from llm_lab.models.feature_cache import INDEX, TOKENS, features
from llm_lab.models.fusion.model import fused
from tests.models.fusion.test_fusion import AUDIO, IMAGE, TEXT, batch_of, spec_of

NAMES = ("picture", "sound", "words")
Make = Callable[..., Any]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """A model with frozen towers, whose weights are always the same, and the calls of them."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path))
    features.cache_clear()

    def build(*, seed: int = 0, freeze: bool = True, **options: Any) -> Any:
        torch.manual_seed(seed)
        text, image, audio = ({**node, "freeze": freeze} for node in (TEXT, IMAGE, AUDIO))
        fusion = {"_target_": "llm_lab.models.fusion.late.Concatenation"}
        model = fused(
            spec=spec_of(*NAMES), text=text, image=image, audio=audio, fusion=fusion, width=8, **options
        )
        model.calls = []
        for name, tower in model.towers.items():
            tower.register_forward_hook(
                lambda _, given, __, name=name: model.calls.append((name, len(given[0])))
            )
        return model.eval()

    yield build
    features.cache_clear()


def keyed(*rows: int) -> dict[str, torch.Tensor]:
    """Rows of one batch with their keys."""
    batch = {name: value[list(rows)] for name, value in batch_of(*NAMES).items()}
    return batch | {f"{name}_key": torch.tensor(rows) for name in NAMES}


def folder(home: Path) -> list[Path]:
    return sorted(path for path in (home / "features").iterdir() if path.is_dir())


def test_a_second_look_computes_nothing_and_is_the_same(make: Make, tmp_path: Path) -> None:
    model, plain = make(), make(cache=0)
    for rows in ((0, 1, 1), (3, 1, 0), (2, 3)):  # the first row has shorter texts and sounds than the others
        batch = keyed(*rows)
        assert torch.allclose(model(**batch).logits, plain(**batch).logits, atol=1e-5)
    assert [count for name, count in model.calls if name == "picture"] == [2, 1, 1]
    features.cache_clear()  # as in another process
    again = make()
    assert torch.allclose(again(**keyed(2, 0)).logits, plain(**keyed(2, 0)).logits, atol=1e-5)
    assert again.calls == [] and len(folder(tmp_path)) == 3


def test_other_weights_and_another_precision_are_other_features(make: Make, tmp_path: Path) -> None:
    one, other = make(), make(seed=1)
    one(**keyed(0)), other(**keyed(0))
    assert len(folder(tmp_path)) == 6
    with torch.autocast("cpu", torch.bfloat16):
        one(**keyed(0))
    assert len(folder(tmp_path)) == 9


def test_what_trains_or_varies_or_is_not_to_be_kept_is_computed(make: Make, tmp_path: Path) -> None:
    batch = keyed(0, 1)
    unkeyed = {name: value for name, value in batch.items() if not name.endswith("_key")}
    for model, given in ((make(freeze=False), batch), (make(), unkeyed), (make(cache=0), batch)):
        model(**given), model(**given)
        assert len(model.calls) == 6
    opened = make()
    next(opened.towers["words"].parameters()).requires_grad_()  # a change of low rank, say
    opened(**batch), opened(**batch)
    assert [name for name, _ in opened.calls] == ["picture", "sound", "words", "words"]
    assert len(folder(tmp_path)) == 2


def test_a_full_disk_is_no_mistake(make: Make, tmp_path: Path) -> None:
    model, plain = make(cache=1e-9), make(cache=0)
    for rows in ((0, 1), (1, 2)):
        assert torch.allclose(model(**keyed(*rows)).logits, plain(**keyed(*rows)).logits, atol=1e-5)
    assert not list((tmp_path / "features").glob(f"*/{TOKENS}"))


def test_what_was_not_used_for_long_makes_room(make: Make, tmp_path: Path) -> None:
    make()(**keyed(0, 1, 2))
    old = folder(tmp_path)
    taken = sum(map(feature_cache._size, old))
    features.cache_clear()
    make(seed=1, cache=taken / feature_cache.GIGABYTE)(**keyed(0))
    assert len(set(old) & set(folder(tmp_path))) < 3


def test_what_was_only_read_was_used(make: Make, tmp_path: Path) -> None:
    make()(**keyed(0, 1, 2))
    read = folder(tmp_path)
    make(seed=1)(**keyed(0, 1, 2))
    written = [one for one in folder(tmp_path) if one not in read]
    for age, some in ((1000, read), (2000, written)):
        for one in some:
            os.utime(one, (age, age))
    features.cache_clear()  # as in another process
    again = make()
    again(**keyed(0, 1))
    assert again.calls == []
    feature_cache._make_room(tmp_path / "features" / "new", 2 * sum(map(feature_cache._size, read)))
    assert folder(tmp_path) == read


def test_a_killed_run_leaves_what_it_had_written(make: Make, tmp_path: Path) -> None:
    make()(**keyed(0, 1, 2))
    for one in folder(tmp_path):
        raw = (one / INDEX).read_bytes()
        (one / INDEX).write_bytes(raw[:-10])
    features.cache_clear()
    model, plain = make(), make(cache=0)
    for _ in range(2):
        assert torch.allclose(model(**keyed(0, 1, 2)).logits, plain(**keyed(0, 1, 2)).logits, atol=1e-5)
    assert [count for _, count in model.calls] == [1, 1, 1]
