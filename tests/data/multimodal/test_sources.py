"""Where rows and their files come from: archives, folders, tables, hub sets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_lab.data.multimodal.module import MultimodalData
from llm_lab.errors import ConfigError, DataError
from tests.multimodal import COLUMNS, manifest, rejected, some

Make = Callable[..., MultimodalData]
FUSION = {"_target_": "llm_lab.models.fusion.late.Concatenation"}


def test_the_same_rows_come_from_parquet_with_the_files_inside(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    rows = [
        {
            "file": {"bytes": (tmp_path / f"{n}.png").read_bytes(), "path": None},
            "colour": ("red", "blue")[n % 2],
        }
        for n in range(40)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    one = make(columns=some("picture"), split={}).train_dataloader()
    other = make(
        {"train": str(tmp_path / "rows.parquet")}, columns=some("picture"), split={}
    ).train_dataloader()
    for left, right in zip(one, other, strict=True):
        assert (left["picture"] == right["picture"]).all() and (left["labels"] == right["labels"]).all()


def same_batches(one: MultimodalData, other: MultimodalData, *names: str) -> bool:
    pairs = zip(one.train_dataloader(), other.train_dataloader(), strict=True)
    return all(left[name].equal(right[name]) for left, right in pairs for name in (*names, "labels"))


@pytest.mark.parametrize("packed", ["zip", "gztar", "tar"])
def test_files_lie_in_an_archive(tmp_path: Path, make: Make, packed: str) -> None:
    table = manifest(tmp_path / "all")
    archive = shutil.make_archive(str(tmp_path / "packed"), packed, root_dir=tmp_path, base_dir="all")
    inside = f"file://{archive}!/all"
    columns = {"columns": some("picture", "sound"), "split": {}}
    plain = make({"train": str(table)}, **columns)
    (tmp_path / "rows.csv").write_text(table.read_text())
    for uri in (str(tmp_path / "rows.csv"), f"{inside}/rows.csv"):
        assert same_batches(
            plain, make({"train": {"uri": uri, "root": inside}}, **columns), "picture", "sound"
        )
    source = {"uri": inside, "format": "files", "pattern": r"(?P<n>\d+)\.png"}
    pictures = {"picture": {**COLUMNS["picture"], "columns": "file"}, "label": "n"}
    labels = {"even": [*range(0, 40, 2)], "odd": [*range(1, 40, 2)]}
    assert make({"train": source}, columns=pictures, labels=labels, split={}).prepare().sizes == {"train": 40}


@pytest.mark.parametrize("streaming", [False, True])
def test_a_hub_data_set_holds_pictures_and_sounds(tmp_path: Path, make: Make, *, streaming: bool) -> None:
    manifest(tmp_path)
    read = [
        (tmp_path / f"{number}.{suffix}").read_bytes() for suffix in ("png", "wav") for number in range(40)
    ]
    cells = [{"bytes": content, "path": f"{number}"} for number, content in enumerate(read)]
    features = datasets.Features(
        {
            "file": datasets.Image(),
            "wav": datasets.Audio(),
            "colour": datasets.ClassLabel(names=["red", "blue"]),
        }
    )
    columns = {"file": cells[:40], "wav": cells[40:], "colour": [number % 2 for number in range(40)]}
    stored = pa.table(columns, schema=features.arrow_schema)
    (tmp_path / "hub").mkdir()
    pq.write_table(stored, tmp_path / "hub/train.parquet")
    source = {"uri": f"file://{tmp_path}/hub", "format": "hub", "streaming": streaming}
    of_hub = make(source, columns=some("picture", "sound"), split={"val": 0.2})
    assert same_batches(
        make(columns=some("picture", "sound"), split={"val": 0.2}), of_hub, "picture", "sound"
    )
    assert of_hub.spec.fingerprint == make({**source, "streaming": False}, columns=some("picture", "sound"),
                                           split={"val": 0.2}).prepare().fingerprint  # fmt: skip


@pytest.mark.parametrize("streaming", [False, True])
def test_a_hub_data_set_is_a_folder_of_pictures(tmp_path: Path, make: Make, *, streaming: bool) -> None:
    manifest(tmp_path / "all")
    for number in range(40):
        folder = tmp_path / "hub/train" / ("red", "blue")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / f"all/{number}.png", folder)
    columns = {"image": {"kind": "image", "size": 8}, "label": "label"}
    source = {"uri": f"file://{tmp_path}/hub", "format": "hub", "streaming": streaming}
    data = make(source, columns=columns, split={"val": 0.2})
    assert (
        rejected(data) == [] and data.spec.labels == ("blue", "red") and sum(data.spec.sizes.values()) == 40
    )


def test_only_a_hub_data_set_is_read_as_it_comes(tmp_path: Path, make: Make) -> None:
    with pytest.raises(
        ConfigError, match="rows.csv is no hub data set, and only such a one is read as it comes"
    ):
        make({"train": {"uri": str(tmp_path / "rows.csv"), "streaming": True}})


def test_a_folder_of_files_is_a_table_by_a_pattern(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path / "all")
    source = {
        "train": {"uri": str(tmp_path / "all"), "format": "files", "pattern": r"(?P<n>1?\d)\.png"},
        "test": {"uri": str(tmp_path / "all"), "format": "files", "pattern": r"(?P<n>[23]\d)\.png"},
    }
    columns = {"picture": {"kind": "image", "columns": "file", "size": 4}, "label": "n"}
    data = make(source, columns=columns, labels={"few": [*range(20)], "many": [*range(20, 40)]}, leaks="keep")
    with pytest.raises(DataError, match="every training row has the label `few`"):
        data.prepare()
    labels = {"even": [*range(0, 40, 2)], "odd": [*range(1, 40, 2)]}
    data = make(source, columns=columns, labels=labels)
    assert data.prepare().sizes == {"train": 20, "test": 20}
    assert [row["text"] for row in data.rows("test")][:2] == [
        "20.png",
        "21.png",
    ]  # a reader knows files by name
    source["train"]["pattern"] = r"(?P<m>\d)\.png"
    with pytest.raises(DataError, match="no column `n`; there is `file`, `folder`, `m`"):
        make(source, columns=columns, labels=labels).prepare()


def test_json_lists_and_paths_made_of_cells(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path / "pictures")
    asked = [[f"is it {n}?", ("red", "blue")[n % 2], n] for n in range(40)]
    (tmp_path / "questions.json").write_text(json.dumps(asked))
    source = {
        "train": {
            "uri": str(tmp_path / "questions.json"),
            "root": str(tmp_path / "pictures"),
            "path": "{}.png",
        }
    }
    columns = {
        "picture": {"kind": "image", "columns": "image", "size": 4},
        "question": {"kind": "text"},
        "label": "answer",
    }
    spec = make(source, columns=columns, header=["question", "answer", "image"], split={}).prepare()
    assert spec.sizes == {"train": 40}


def test_pixels_in_a_table(tmp_path: Path, make: Make) -> None:
    lines = [",".join([*(str((n * k) % 256) for k in range(4)), str(n % 2)]) for n in range(30)]
    (tmp_path / "pixels.csv").write_text("\n".join([*lines, "1,2,x,4,0"]))
    columns = {"picture": {"kind": "image", "columns": "image", "size": 2, "channels": 1}, "label": "label"}
    source = {"train": {"uri": str(tmp_path / "pixels.csv"), "format": "pixels"}}
    assert rejected(make(source, columns=columns, split={})) == [(31, "pixels that are no numbers")]


def test_a_changed_file_is_new_data(tmp_path: Path, make: Make) -> None:
    manifest(tmp_path)
    first = make(columns=some("picture")).prepare().fingerprint
    assert make(columns=some("picture")).prepare().fingerprint == first
    changed = {**some("picture"), "picture": {**COLUMNS["picture"], "augment": {"flip": 0.5}}}
    assert make(columns=changed).prepare().fingerprint == first
    (tmp_path / "3.png").write_bytes((tmp_path / "5.png").read_bytes() + b" ")
    assert make(columns=some("picture")).prepare().fingerprint != first
