"""A vocabulary of word pieces that the same texts always give.

The tokenizers library's own trainer of word pieces numbers its letters in the order of a hash table that differs
from process to process, and breaks ties by these numbers: three trainings gave three vocabularies. Its trainer of
byte pairs sorts its letters. So a mark before each word is learned along as if it were a letter, and taken off again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

START = "\u2581"  # before the first letter of a word
INSIDE = "##"  # before a piece that goes on with a word, as BERT writes it


def word_pieces(
    texts: Iterable[str], *, normalizer: Any, special: Sequence[str], size: int
) -> dict[str, int]:
    """Learn pieces by the frequency of pairs (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909).

    Args:
        texts: to learn from, read once.
        normalizer: applied to each text.
        special: tokens with the first numbers.
        size: most pieces, the special ones included.

    Returns:
        Piece to number: special tokens, letters with and without the mark, then merged pieces, the first merged first.
    """
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizer
    marks = pre_tokenizers.Metaspace(replacement=START, prepend_scheme="always", split=False)
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), marks])
    learner.train_from_iterator(texts, trainer=trainers.BpeTrainer(vocab_size=size, show_progress=False))
    found = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    letters = [text for text, _ in found if len(text) == 1 and text != START]
    merged = [text for text, _ in found if len(text) > 1]
    pieces = [*letters, *(INSIDE + letter for letter in letters), *map(_as_word_piece, merged)]
    return {piece: number for number, piece in enumerate(list(dict.fromkeys([*special, *pieces]))[:size])}


def _as_word_piece(text: str) -> str:
    return text.removeprefix(START) if text.startswith(START) else INSIDE + text
