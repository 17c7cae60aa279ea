"""Rows of several sources stand side by side by a key; rows are left out by what stands in them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_lab.data.columns import CleanRow, Columns
from llm_lab.data.joins import joined
from llm_lab.data.readers import identity, read
from llm_lab.data.record import Record, Rejected
from llm_lab.data.source import Source, parse_sources
from llm_lab.data.staging import Staging
from llm_lab.errors import ConfigError, DataError


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def rows(source: Any, needed: list[str] | None = None) -> list[dict[str, Any]]:
    (one,) = parse_sources(source)
    found = list(read(one, needed or []))
    assert all(isinstance(row, Record) for row in found)
    return [dict(row.values) for row in found if isinstance(row, Record)]


@pytest.fixture
def pets(tmp_path: Path) -> dict[str, Any]:
    """Pets with the names of their kinds, in a table and in a JSON object."""
    kinds = json.dumps(
        {"cat": {"en": "cat", "legs": 4}, "emu": {"en": "emu", "legs": 2}, "ant": {"en": "ant"}}
    )
    return {
        "uri": write(tmp_path / "pets.csv", "pet,kind\nTom,cat\nRod,emu\nKit,cat\nX,yeti\n"),
        "join": {
            "english": {
                "uri": write(tmp_path / "kinds.json", kinds),
                "format": "mapping",
                "header": ["word", "value"],
                "by": {"kind": "word"},
            },
            "german": {"uri": write(tmp_path / "de.csv", "en,de\ncat,Katze\nemu,Emu\n"), "by": "en"},
        },
    }


def test_rows_get_the_columns_of_their_partners_one_source_after_the_other(pets: dict[str, Any]) -> None:
    found = rows(pets, ["pet", "de"])
    assert [(row["pet"], row["de"], row["legs"]) for row in found] == [
        ("Tom", "Katze", 4),
        ("Rod", "Emu", 2),
        ("Kit", "Katze", 4),
    ]


def test_where_leaves_rows_out_by_any_column(pets: dict[str, Any]) -> None:
    assert [row["pet"] for row in rows({**pets, "where": {"de": "K.*", "pet": "[A-S].*"}})] == ["Kit"]
    with pytest.raises(ConfigError, match="did you mean `de`"):
        rows({**pets, "where": {"dee": "x"}})
    with pytest.raises(ConfigError, match="no regular expression"):
        rows({**pets, "where": {"de": "("}})


def test_a_join_that_finds_nothing_says_what_keys_are_like(pets: dict[str, Any], tmp_path: Path) -> None:
    pets["join"]["german"]["uri"] = write(tmp_path / "other.csv", "en,de\nCAT,Katze\n")
    with pytest.raises(DataError, match="like `emu` and like `CAT`|like `cat` and like `CAT`"):
        rows(pets)
    with pytest.raises(ConfigError, match="source.join.german.by"):
        parse_sources({**pets, "join": {"german": str(tmp_path / "other.csv")}})
    pets["join"]["german"]["by"] = {"kin": "en"}
    with pytest.raises(ConfigError, match="column `kin`; did you mean `kind`"):
        rows(pets)
    with pytest.raises(DataError, match="no column `dee`"):
        pets["join"]["german"] = None
        rows(pets, ["dee"])


def test_what_is_joined_is_part_of_what_rows_depend_on(pets: dict[str, Any], tmp_path: Path) -> None:
    (source,) = parse_sources(pets)
    before = json.dumps(identity(source))
    write(tmp_path / "de.csv", "en,de\ncat,Kater\n")
    assert json.dumps(identity(source)) != before
    assert "join" not in identity(parse_sources(pets["uri"])[0])


@given(
    st.lists(st.sampled_from("abc"), max_size=20), st.lists(st.sampled_from("abc"), min_size=1, max_size=20)
)
def test_partners_are_dealt_out_evenly(left: list[str], right: list[str]) -> None:
    part = Source(uri="right", by="key")
    mine = [Record("left", n, {"key": key, "row": n}) for n, key in enumerate(left)]
    theirs = [Record("right", n, {"key": key, "partner": n}) for n, key in enumerate(right)]
    if left and not set(left) & set(right):
        with pytest.raises(DataError):
            list(joined(mine, part, theirs))
        return
    found = [row.values for row in joined(mine, part, theirs) if isinstance(row, Record)]
    assert [row["row"] for row in found] == [n for n, key in enumerate(left) if key in right]
    assert all(left[row["row"]] == right[row["partner"]] for row in found)
    for key in set(right):
        times = Counter(row["partner"] for row in found if row["key"] == key)
        counts = [times[n] for n, other in enumerate(right) if other == key]
        assert max(counts) - min(counts) <= 1


def test_what_is_broken_stays_so_on_both_sides() -> None:
    bad = Rejected("left", 2, "broken")
    part = Source(uri="right", by="key")
    one = Record("left", 1, {"key": "a"})
    other = Record("right", 1, {"key": "a", "name": "A", "file": "a.png"})
    found = list(joined([one, bad], part, [Rejected("right", 2, "broken"), other]))
    assert [row for row in found if isinstance(row, Rejected)] == [Rejected("right", 2, "broken"), bad]
    (row,) = (row for row in found if isinstance(row, Record))
    assert row.origins == {"name": part, "file": part}


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.sampled_from("uvwxyz")), max_size=40))
def test_a_group_stands_in_one_split(tmp_path_factory: Any, told: list[tuple[str, str]]) -> None:
    staging = Staging(folder=tmp_path_factory.mktemp("group"), shares={"val": 0.3, "test": 0.3})
    staging.add(CleanRow({"text": text}, "", None, group) for text, group in told)
    staging.divide()
    found = staging.execute("SELECT id, split FROM row").fetchall()
    splits = {(told[number - 1][1], split) for number, split in found}
    assert len(splits) == len({group for group, _ in splits})
    staging.close()


def test_the_group_is_a_column_like_others() -> None:
    columns = Columns.parse({"text": "review", "label": "stars", "group": "shop"})
    (source,) = parse_sources("file://x.csv")
    assert columns.needed(source) == ["review", "shop", "stars"]
    record = Record("x.csv", 1, {"review": "fine", "shop": "A", "stars": "5"})
    row = columns.clean(record, source, str)
    assert row is not None and row.group == "A"


def test_objects_that_are_none(tmp_path: Path) -> None:
    for text, message in (("[1]", "a JSON object"), ("{}", "a JSON object"), ("{", "no JSON object")):
        with pytest.raises(DataError, match=message):
            rows({"uri": write(tmp_path / "x.json", text), "format": "mapping"})
    with pytest.raises(ConfigError, match="names of key and value"):
        rows({"uri": write(tmp_path / "x.json", '{"a": 1}'), "format": "mapping", "header": ["a"]})


def test_keys_are_known_by_their_code_points(tmp_path: Path) -> None:
    (row,) = rows({"uri": write(tmp_path / "x.json", '{"🇩🇪": "Germany"}'), "format": "mapping"})
    assert row == {"key": "🇩🇪", "value": "Germany", "codepoints": "1F1E9-1F1EA"}
