"""Tables and manifests of several modalities become batches, and what cannot be used is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from llm_lab.data.multimodal.module import MultimodalData
from llm_lab.errors import ConfigError, DataError
from llm_lab.models.fusion.model import fused
from llm_lab.results.rows import digest_of
from tests.data.conftest import TOKENIZER
from tests.models.fusion.test_fusion import TEXT
from tests.multimodal import COLUMNS, edit, manifest, rejected, some

Make = Callable[..., MultimodalData]
FUSION = {"_target_": "llm_lab.models.fusion.late.Concatenation"}


def test_a_manifest_becomes_batches_of_every_kind(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    data = make(split={"val": 0.2})
    spec = data.prepare()
    assert sum(spec.sizes.values()) == 40 and spec.labels == ("blue", "red")
    assert spec.modalities == ("image", "audio", "text", "number", "category")
    assert (
        spec.inputs["places"]["values"] == [["blue town", "red town"]]
        or len(spec.inputs["places"]["values"][0]) == 2
    )
    batch = next(iter(data.train_dataloader()))
    assert batch["picture"].shape == (8, 3, 8, 8)
    assert batch["sound"].shape[::2] == (8, 8) and batch["sound_mask"].shape == batch["sound"].shape[:2]
    assert batch["words"].shape == batch["words_mask"].shape
    assert batch["amounts"].shape == (8, 4) and batch["places"].shape == (8, 1)
    red = batch["labels"] == 1
    assert (batch["picture"][red, 0].mean() > 0) and (batch["picture"][~red, 0].mean() < 0)


def test_a_bad_cell_rejects_its_row_whatever_it_is(tmp_path: Path, make: Make) -> None:
    """Names that are none, shapes that are no picture: each row says why, and the run goes on."""
    manifest(tmp_path)
    (tmp_path / "loop.png").symlink_to("loop.png")
    Pillow.new("LAB", (4, 4)).save(tmp_path / "lab.tiff")
    bad: dict[str, Any] = {
        **dict.fromkeys(("a\0b.png", "n" * 5000, "loop.png", "\ud800"), "no name of a file"),
        "lab.tiff": "broken picture",
        ".": "no such file",
    }
    odd = [[[[1.0] * 5] * 5] * 5, [], {"bytes": None, "path": None}, [["a"]], [10.0] * 9]
    cells = [*(f"{number}.png" for number in range(10)), *bad, *odd]
    rows = [{"file": cell, "colour": "red" if number % 2 else "blue"} for number, cell in enumerate(cells)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    columns = {"picture": {**COLUMNS["picture"], "channels": 1}, "label": "colour"}
    data = make(
        {"train": str(tmp_path / "rows.jsonl")},
        columns=columns,
        split={},
        max_rejected=0.9,
        duplicates="keep",
    )
    reasons = [*bad.values(), "no picture", "no picture", "missing image", "no file and no numbers"]
    assert rejected(data) == [(11 + number, reason) for number, reason in enumerate(reasons)]


def test_numbers_are_standardized_by_the_training_rows(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    data = make(columns=some("amounts"), split={"val": 0.2}, duplicates="keep")
    data.prepare()
    rows = np.concatenate([batch["amounts"].numpy() for batch in data.train_dataloader()])
    assert abs(rows[:, 0].mean()) < 1e-5 and abs(rows[:, 0].std() - 1) < 1e-3
    assert (rows[:, 1] == 0).all() and (rows[:, 2:] == 1).all()


def test_a_category_that_only_a_later_split_has_is_unknown(tmp_path: Path, make: Make) -> None:
    path = manifest(tmp_path)
    lines = path.read_text().splitlines()
    (tmp_path / "test.csv").write_text("\n".join([lines[0], *lines[31:]]))
    path.write_text("\n".join(lines[:31]))
    for number in range(30):
        edit(path, number, town="")
    columns = {**some("words", "places"), "places": {**COLUMNS["places"], "optional": True}}
    data = make({"train": str(path), "test": str(tmp_path / "test.csv")}, columns=columns)
    assert data.prepare().inputs["places"]["values"] == [[]]
    batch = next(iter(data.test_dataloader()))
    assert batch["places_present"].all() and (batch["places"] == 0).all()
    assert fused(spec=data.spec, text=TEXT, fusion=FUSION, width=8)(**batch).logits.shape == (8, 2)


def test_what_is_broken_is_rejected_with_its_reason(tmp_path: Path, make: Make) -> None:
    path = manifest(tmp_path)
    (tmp_path / "0.png").write_bytes(b"not a picture")
    (tmp_path / "1.wav").write_bytes((tmp_path / "1.wav").read_bytes()[:30])
    (tmp_path.parent / "outside.png").write_bytes((tmp_path / "2.png").read_bytes())
    edit(path, 2, file="../outside.png")
    edit(path, 3, file="nowhere.png")
    edit(path, 4, weight="heavy")
    edit(path, 5, text="  ")
    assert rejected(make(max_rejected=0.5, split={})) == [
        (2, "no picture"),
        (3, "no sound or a broken one"),
        (4, "file outside the folder of its table"),
        (5, "no such file"),
        (6, "not a number"),
        (7, "missing text"),
    ]


def test_too_many_broken_files_stop_the_run(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"10 of 40 rows rejected.*10 no picture"):
        make().prepare()


def test_what_is_optional_may_be_missing(tmp_path: Path, make: Make) -> None:
    path = manifest(tmp_path)
    edit(path, 0, file="", text="")
    edit(path, 1, weight="", height="")
    columns = {
        name: {**node, "optional": True} if isinstance(node, dict) else node for name, node in COLUMNS.items()
    }
    data = make(columns=columns, split={})
    assert rejected(data) == []
    assert data.spec.summary["missing"] == {"picture": 1, "words": 1, "amounts": 1}
    batches = (
        list(data._loader("val", data.spec)) if data.spec.sizes.get("val") else list(data.train_dataloader())
    )
    there = {
        name: sum(int((~batch[f"{name}_present"]).sum()) for batch in batches) for name in data.inputs.kinds
    }
    assert there == {"picture": 1, "sound": 0, "words": 1, "amounts": 1, "places": 0}


def test_a_picture_asked_about_often_is_kept_once(tmp_path: Path, make: Make) -> None:
    path = manifest(tmp_path)
    for number in range(40):
        edit(path, number, file=f"{number % 4}.png")
    data = make(columns=some("picture", "words"), split={})
    data.prepare()
    assert len(np.load(data._folder / "picture.npy")) == 4
    assert data.spec.sizes == {"train": 40}


def test_training_rows_are_changed_anew_in_each_epoch_and_others_never(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    columns = {
        **some("picture"),
        "picture": {**COLUMNS["picture"], "augment": {"shift": 2, "brightness": 0.3}},
    }
    data = make(columns=columns, split={"val": 0.3})
    table = data.table(data._folder if data.spec else tmp_path, "train", data.spec)
    rows = np.arange(4)
    assert (table.batch(rows, 0)["picture"] == table.batch(rows, 0)["picture"]).all()
    assert (table.batch(rows, 0)["picture"] != table.batch(rows, 1)["picture"]).any()
    table = data.table(data._folder, "val", data.spec)
    assert (table.batch(rows, 0)["picture"] == table.batch(rows, 1)["picture"]).all()


def test_a_wave_that_training_changes_is_computed_anew(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    columns = {**some("sound"), "sound": {**COLUMNS["sound"], "augment": {"noise": 0.5}}}
    data = make(columns=columns, split={})
    table = data.table(data._folder if data.spec else tmp_path, "train", data.spec)
    assert (table.batch(np.arange(4), 0)["sound"] != table.batch(np.arange(4), 1)["sound"]).any()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"picture": {"kind": "imagee", "size": 8}}, "unknown kind `imagee`; did you mean `image`?"),
        ({"picture": {"kind": "image", "sizes": 8}}, "size"),
        ({"labels": {"kind": "text"}}, "no input can be called `labels`"),
        ({"picture": "file"}, "a mapping with a `kind` is wanted"),
        ({"label": "x"}, "name an input"),
        ({"split": {"kind": "text"}}, "data.columns.split: must be a text or null, not a mapping"),
        ({"label": [1]}, "data.columns.label.0: must be a text, not 1"),
    ],
)
def test_columns_that_cannot_be_say_why(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        MultimodalData(source="file://x.csv", columns=columns, licence="", tokenizer=TOKENIZER)
    assert message in str(error.value)


def test_what_is_held_out_is_the_test_split(tmp_path: Path, make: Make) -> None:
    path = manifest(tmp_path)
    for number in range(10):
        edit(path, number, town="elsewhere")
    data = make(columns=some("picture"), held_out={"town": "elsewhere"}, split={"val": 0.2})
    assert data.prepare().sizes["test"] == 10 and sum(data.spec.sizes.values()) == 40
    told = "data.held_out.town: no row has `elswhere`; there is `elsewhere`, `red town`, `blue town`"
    with pytest.raises(ConfigError, match=told):
        make(columns=some("picture"), held_out={"town": ["elsewhere", "elswhere"]}).prepare()
    with pytest.raises(ConfigError, match="the source gives a split of its own"):
        make({"test": str(path)}, held_out={"town": "elsewhere"})


def test_what_is_of_one_kind_is_the_same_to_a_batch(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    columns = {name: COLUMNS[name] for name in ("picture", "words", "places")}
    data = make(
        columns={**columns, "same": "colour"}, problem="modalities", split={"val": 0.2}, batch_size=64
    )
    data.prepare()
    batches = list(data.train_dataloader())
    kinds = [batch["same"][:, None] == batch["same"] for batch in batches]
    assert all(
        torch.equal(one, batch["places"] == batch["places"].T)
        for one, batch in zip(kinds, batches, strict=True)
    )
    assert not all(one.all() for one in kinds)
    told = [(row["same"], row["text"].split()[1]) for row in data.rows("val")]
    assert len(set(told)) == len({same for same, _ in told}) == 2
    alone = make(columns=columns, problem="modalities", split={"val": 0.2})
    alone.prepare()
    assert (next(iter(alone.train_dataloader()))["same"] == -1).all()


def test_inputs_may_be_left_out_of_the_same_rows(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    data = {"columns": some("picture", "words", "places"), "split": {"val": 0.2}}
    whole, fewer = make(**data), make(**data, inputs=["picture"])
    spec = fewer.prepare()
    assert list(spec.inputs) == ["picture"] and spec.modalities == ("image",)
    assert spec.fingerprint == whole.prepare().fingerprint
    pictures = [
        {
            int(row): one
            for batch in data.val_dataloader()
            for row, one in zip(batch["index"], batch["picture"], strict=True)
        }
        for data in (whole, fewer)
    ]
    assert len(pictures[0]) == spec.sizes["val"]
    assert all(one.equal(pictures[1][row]) for row, one in pictures[0].items())
    assert "words" not in next(iter(fewer.val_dataloader()))
    seen, hidden = list(whole.rows("val")), list(fewer.rows("val"))
    assert digest_of(seen) == digest_of(hidden)
    assert "number" in seen[0]["text"] and hidden[0]["text"] == "(text left out)"
    assert len(hidden[0]["features"]) < len(seen[0]["features"])
    with pytest.raises(ConfigError, match="no input `pictur`; did you mean `picture`"):
        make(**data, inputs=["pictur"])


def test_a_run_that_left_inputs_out_is_tested_on_another_set(tmp_path: Path, make: Make) -> None:
    """That set has no training rows by which the inputs that the run knows nothing of could be fitted."""
    path = manifest(tmp_path)
    columns = some("picture", "words", "amounts", "places")
    run = make(columns=columns, inputs=["places"], split={"val": 0.2}).prepare()
    saved = tmp_path / "model"
    saved.mkdir()
    (saved / "config.json").write_text("{}")
    facts = {"inputs": {name: dict(told) for name, told in run.inputs.items()}}
    (saved / "llm_lab.json").write_text(json.dumps(facts))
    other = make({"test": str(path)}, columns=columns, inputs=["places"], fitted=f"file://{saved}")
    batch = next(iter(other.test_dataloader()))
    assert other.spec.inputs == run.inputs and batch["places"].max() > 0
    assert not any(name.startswith(("amounts", "words")) for name in batch)
