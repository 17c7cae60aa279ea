"""Drawings are pictures like others, and read nothing but themselves."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image as Pillow

from llm_lab.data.multimodal import drawing
from llm_lab.data.multimodal.image import Image
from llm_lab.data.multimodal.module import MultimodalData
from llm_lab.data.record import UnusableError
from llm_lab.data.spec import Split

RED = '<rect width="100%" height="100%" fill="#f00"/>'


def svg(inside: str = RED, attributes: str = 'viewBox="0 0 8 8"', before: str = "") -> bytes:
    return f'{before}<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{inside}</svg>'.encode()


def decoded(content: bytes, **settings: Any) -> Any:
    return Image(**{"size": 16, **settings}).decode(content)


@pytest.mark.parametrize(
    "before", ["", '<?xml version="1.0"?>\n<!-- a -->\n<!DOCTYPE svg>\n', "\ufeff \n", "<!-- --> " * 200]
)
@pytest.mark.parametrize("attributes", ['viewBox="0 0 8 8"', 'width="90000" height="90000"'])
def test_a_drawing_is_rendered_in_the_size_asked_for(before: str, attributes: str) -> None:
    pixels = decoded(svg(attributes=attributes, before=before))
    assert pixels.shape == (16, 16, 3) and (pixels == [255, 0, 0]).all()


def test_proportions_are_kept_or_not_as_for_pictures() -> None:
    wide = svg(attributes='viewBox="0 0 16 4"')
    assert (decoded(wide, resize="stretch") == [255, 0, 0]).all()
    assert (decoded(wide, resize="crop") == [255, 0, 0]).all()
    padded = decoded(wide, resize="pad")
    assert (padded[6:10] == [255, 0, 0]).all() and not padded[:5].any()


def test_what_is_transparent_is_white() -> None:
    assert (decoded(svg('<rect x="4" width="4" height="8"/>'))[:, :7] == 255).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<svg", "broken drawing"),
        (b"<svg>\xff</svg>", "broken drawing"),
        (svg("<g>"), "broken drawing"),
        (svg("<!--" + "a" * (1 << 22) + "-->"), "drawing too large"),
        (svg('<image href="{red}"/>'), "drawing that refers to something outside"),
        (svg('<image xlink:href = \'file://{red}\' xmlns:xlink="http://www.w3.org/1999/xlink"/>'),
         "drawing that refers to something outside"),
        (svg('<image href="&#47;{red}"/>'), "drawing that refers to something outside"),
        (svg("&a;", before='<!DOCTYPE svg [<!ENTITY a "<image hr&#101;f=\'{red}\'/>">]>'),
         "drawing that refers to something outside"),
        (svg('<image href="data:image/png;base64,AAAA"/>'), "drawing that refers to something outside"),
    ],
)  # fmt: skip
def test_what_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    Pillow.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    with pytest.raises(UnusableError) as error:
        decoded(content.replace(b"{red}", str(tmp_path / "red.png").encode()))
    assert error.value.reason == reason


FLOOD = f'<g id="g0">{RED}</g>' + "".join(
    f'<g id="g{n + 1}">' + f'<use href="#g{n}"/>' * 10 + "</g>" for n in range(12)
)  # ten to the twelfth rectangles
NOISE = (
    '<filter id="f"><feTurbulence baseFrequency="1" numOctaves="100000000"/></filter>'
    '<rect width="8" height="8" filter="url(#f)"/>'
)


@pytest.mark.parametrize(
    "inside", ["<g>" * 20_000 + "</g>" * 20_000, FLOOD, NOISE], ids=["deep", "flood", "noise"]
)
def test_a_drawing_that_kills_its_renderer_is_refused_and_the_next_one_is_rendered(
    inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "SECONDS", 0)  # and what is left of one
    with pytest.raises(UnusableError, match="drawing too deep or too much work|broken drawing"):
        decoded(svg(inside))
    assert (decoded(svg()) == [255, 0, 0]).all()


def test_drawings_are_rendered_in_several_threads_by_few_processes() -> None:
    colours = [f"#{number:06x}" for number in range(0, 1 << 24, 1 << 17)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: decoded(svg(RED.replace("#f00", one))), colours))
    assert [f"#{bytes(pixels[0, 0]).hex()}" for pixels in found] == colours
    assert 1 <= len(drawing.IDLE) <= 4


def test_parts_of_the_drawing_itself_may_be_used_again() -> None:
    inside = '<defs><rect id="a" width="8" height="8" fill="#f00"/></defs><use href="#a"/>'
    assert (decoded(svg(inside)) == [255, 0, 0]).all()


def test_drawings_and_names_from_two_sources_and_two_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names join drawings by what files are called; a broken drawing rejects its row; one group, one split."""
    monkeypatch.setenv("LLM_LAB_HOME", str(tmp_path / "home"))
    folder = tmp_path / "drawings"
    folder.mkdir()
    for number in range(0x1F600, 0x1F628):
        fill = f'<rect width="8" height="8" fill="#{number * 97 % 4096:03x}"/>'
        (folder / f"{number:X}.svg").write_bytes(svg(fill) if number != 0x1F600 else b"<svg")
    names = {chr(number): f":face_{number}:" for number in range(0x1F600, 0x1F626)}
    (tmp_path / "names.json").write_text(json.dumps(names))
    data = MultimodalData(
        source={
            "uri": str(folder),
            "pattern": r"(?P<codepoints>(?P<base>[0-9A-F]{4}).*)\.svg",
            "join": {
                "en": {
                    "uri": str(tmp_path / "names.json"), "format": "mapping",
                    "by": "codepoints", "header": ["key", "en"],
                },
            },
        },
        format="files",
        columns={
            "picture": {"kind": "image", "columns": "file", "size": 8},
            "name": {"kind": "text", "columns": "en", "replace": {"^:|:$": "", "_": " "}},
            "group": "base",
        },
        problem="modalities",
        licence="ours",
        tokenizer={"_target_": "llm_lab.data.tokenizers.Trained", "kind": "character", "vocab_size": 50},
        split={"test": 0.4},
        max_rejected=0.5,
        batch_size=4,
    )  # fmt: skip
    spec = data.prepare()
    assert sum(spec.sizes.values()) == 37 and data.rejected is not None
    assert json.loads(data.rejected.read_text())["reason"] == "broken drawing"
    told = {split: {row["text"] for row in data.rows(cast("Split", split))} for split in spec.sizes}
    assert "face 128513" in set().union(*told.values())
    groups = {split: {f"{int(text.split()[1]):X}"[:4] for text in texts} for split, texts in told.items()}
    assert len(set().union(*groups.values())) == sum(map(len, groups.values()))
    batch = next(iter(data.train_dataloader()))
    assert batch["picture"].shape == (4, 3, 8, 8)
    assert len(np.unique(batch["picture_id"])) == len(np.unique(batch["name_id"])) == 4
