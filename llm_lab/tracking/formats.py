"""Numbers and texts as people read them."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

NAMES = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "macro_f1": "Macro F1",
    "matthews": "Matthews",
    "ece": "Calibration error",
    "exact": "Exact match",
    "exact_match": "Exact match",
    "loss": "Loss",
    "mrr": "MRR",
    "mse": "Mean squared error",
    "rmse": "Root mean squared error",
    "mae": "Mean absolute error",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "bleu_2": "BLEU-2",
    "chrf": "chrF",
    "rouge_l": "ROUGE-L",
    "wer": "Word error rate",
    "cer": "Character error rate",
}
LOWER_IS_BETTER = frozenset({"loss", "ece", "mse", "rmse", "mae", "perplexity", "wer", "cer"})
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
MISSING = "–"


def metric_name(key: str) -> str:
    """``test/f1`` -> ``F1``."""
    name = key.rpartition("/")[2]
    head, _, tail = name.partition("_")  # `mrr_head` is told as `mrr` is
    words = f"{NAMES[head]} {tail}" if head in NAMES and tail else name.capitalize()
    return NAMES.get(name, words.replace("_", " "))


def lower_is_better(key: str) -> bool:
    """Whether a smaller value of the metric is the better one."""
    return key.rpartition("/")[2] in LOWER_IS_BETTER


def number(value: Any, digits: int = 3) -> str:
    """A measured value: three digits after the point, powers of ten where that says nothing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        fits = value == 0 or 0.5 * 10**-digits <= abs(value) < 1e5  # noqa: PLR2004
        return f"{value:.{digits}f}" if fits else f"{value:.2e}"
    return str(value)


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return MISSING if value is None else f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    """A duration: ``41.2 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if value is None:
        return MISSING
    if value < 60:  # noqa: PLR2004 - a minute
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"  # noqa: PLR2004


def scaled(value: float | None, unit: str) -> str:
    """A large number with a metric prefix: ``12.3 TFLOP``."""
    if value is None:
        return MISSING
    power = min(6, max(0, int(math.log10(value) // 3))) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}{unit}"


def size(value: float | None) -> str:
    """Bytes: ``1.2 GB``."""
    return scaled(value, "B")


def clean(text: str) -> str:
    """Take out control characters and those that turn the direction of writing; HTML and XML refuse some."""
    return "".join(
        char
        for char in text
        if char in "\n\t" or not (unicodedata.category(char) in {"Cc", "Cs"} or char in TURNING)
    )


def one_line(text: str, most: int = 400) -> str:
    """A text on one line, cut with an ellipsis."""
    line = re.sub(r"\s+", " ", clean(text)).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def fenced(text: str, language: str) -> str:
    """A Markdown code block whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{clean(text).strip()}\n{fence}"


def markdown(value: Any) -> str:
    """Escape a text so that Markdown shows it as it is, in a table cell too: no markup, no HTML, no link."""
    line = re.sub(r"\s+", " ", clean(str(value))).strip()
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]#!|~$^@])", r"\\\1", line)
    line = re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line)  # at the start of a line: lists, rulers
    return re.sub(r"(?i)\b(https?|ftp|mailto|xmpp):|\b(www)\.", _not_a_link, line)


def _not_a_link(found: re.Match[str]) -> str:
    return f"{found[1]}\\:" if found[1] else f"{found[2]}\\."
