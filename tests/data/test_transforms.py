"""Row transforms: order, chance, splits, and their part in the content hash."""

from __future__ import annotations

import numpy as np
import pytest

from llm_lab.data.transforms import WordNoise
from llm_lab.errors import ConfigError
from tests.data.conftest import Make, sentence, table

ROWS = [(sentence(number), "ab"[number % 2]) for number in range(120)]
HOME = "llm_lab.data.transforms."


def texts(data, split: str = "train") -> list[str]:
    data.prepare()
    return [row["text"] for row in data.rows(split)]


def node(name: str, **options: object) -> dict[str, object]:
    return {"_target_": HOME + name, **options}


def test_web_text_is_cleaned(make: Make) -> None:
    rows = [("<p>Fish &amp; chips<br/>2 < 3</p>", "a"), ("caf\u0065\u0301", "b")]
    transforms = {"clean": node("Normalize", lowercase=True)}
    assert texts(make(table(rows), split={}, transforms=transforms)) == ["fish & chips 2 < 3", "caf\u00e9"]


def test_a_template_joins_columns(make: Make) -> None:
    content = table([("One", "first", "a"), ("Two", "second", "b")], header="title,body,label")
    columns = {"text": ["title", "body"]}
    assert texts(make(content, split={}, columns=columns)) == ["One\nfirst", "Two\nsecond"]
    transforms = {"prompt": node("Template", pattern="{title}: {body}?")}
    assert texts(make(content, split={}, columns=columns, transforms=transforms)) == [
        "One: first?",
        "Two: second?",
    ]


def test_a_template_names_what_it_lacks(make: Make) -> None:
    transforms = {"prompt": node("Template", pattern="{title}: {text}")}
    with pytest.raises(ConfigError, match="no text column `title`; there is `text`"):
        make(table(ROWS), transforms=transforms).prepare()
    with pytest.raises(ConfigError, match="only plain column names"):
        make(table(ROWS), transforms={"prompt": node("Template", pattern="{text.__class__}")})
    with pytest.raises(ConfigError, match="no text column `label`"):
        make(table(ROWS), transforms={"prompt": node("Template", pattern="{text} {label}")}).prepare()


def test_they_run_in_their_order(make: Make) -> None:
    transforms = {
        "a": node("Template", pattern="{text} B") | {"order": 2},
        "b": node("Template", pattern="{text} A"),
    }
    assert texts(make(table(ROWS), transforms=transforms))[0].endswith(" A B")


def test_an_augmentation_leaves_the_test_rows_alone(make: Make) -> None:
    plain = make(table(ROWS), split={"test": 0.3})
    data = make(split={"test": 0.3}, transforms={"drop": node("WordDropout", rate=0.5)})
    assert texts(data, "test") == texts(plain, "test")
    for text, original in zip(texts(data), texts(plain), strict=True):
        assert text
        assert set(text.split()) <= set(original.split())
    assert texts(data) != texts(plain)


def test_chance_is_the_seed_and_the_row(make: Make) -> None:
    transforms = {"drop": node("WordDropout", rate=0.5)}
    dropped = dict(zip(texts(make(table(ROWS), split={})), range(120), strict=True))
    one = texts(make(split={}, transforms=transforms, seed=1))
    assert one == texts(make(split={}, transforms=transforms, seed=1, batch_size=3))
    assert one != texts(make(split={}, transforms=transforms, seed=2))
    backwards = texts(make(table(reversed(ROWS)), "other.csv", split={}, transforms=transforms, seed=1))
    assert backwards == one[::-1]
    assert len(dropped) == 120


def test_tokens_are_those_of_the_transformed_text(make: Make) -> None:
    data = make(table(ROWS), split={}, transforms={"prompt": node("Template", pattern="z {text}")})
    batch = next(iter(data.train_dataloader()))
    assert len(set(batch["input_ids"][:, 1].tolist())) == 1


def test_only_transforms_are_taken(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"data\.transforms\.bad"):
        make(source="x.csv", transforms={"bad": {"_target_": "os.system", "command": "true"}})


def test_word_noise_swaps_repeats_and_deletes() -> None:
    words = [f"w{number}" for number in range(2000)]
    row = {"text": " ".join(words), "split": "train"}
    noisy = WordNoise(swap=0.1, repeat=0.1, delete=0.2)(row, np.random.default_rng(0))["text"].split()
    assert 0.75 < len(set(noisy)) / len(words) < 0.85
    assert 0.05 < (len(noisy) - len(set(noisy))) / len(words) < 0.15
    order = [int(word[1:]) for word in dict.fromkeys(noisy)]
    assert order != sorted(order)
    calm = WordNoise(swap=0, repeat=0, delete=0)
    assert calm(row, np.random.default_rng(0)) == row
    gone = WordNoise(swap=0, repeat=0, delete=0.99)(
        {"text": "a b", "split": "train"}, np.random.default_rng(0)
    )
    assert gone["text"] in {"a", "b"}
    with pytest.raises(ConfigError, match="swap"):
        WordNoise(swap=1.0)
