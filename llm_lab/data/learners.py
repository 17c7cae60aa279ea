"""Tokenizers learned from texts, one function per kind; the same texts give the same tokens in every process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from llm_lab.data.wordpieces import word_pieces

UNKNOWN = "[UNK]"
DIGITS = 6  # of a log-probability that are kept: sums over a hash table differ from process to process behind these


def learn_word_pieces(
    texts: Iterator[str], *, special: Sequence[str], size: int, lowercase: bool, whitespace: bool
) -> Any:
    """WordPiece as BERT reads it; white space only separates."""
    del whitespace
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    vocabulary = word_pieces(texts, normalizer=normalizer, special=special, size=size)
    tokenizer: Any = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.add_special_tokens(list(special))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def learn_characters(
    texts: Iterator[str], *, special: Sequence[str], size: int, lowercase: bool, whitespace: bool
) -> Any:
    """A token per character; with ``whitespace`` blanks and line breaks are tokens, and no character is changed."""
    tokenizer: Any = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    form = [] if whitespace else [normalizers.NFKC()]
    tokenizer.normalizer = normalizers.Sequence([*form, *([normalizers.Lowercase()] if lowercase else [])])
    each = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [each] if whitespace else [pre_tokenizers.WhitespaceSplit(), each]
    )
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(vocab_size=size, special_tokens=list(special), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


def learn_byte_pairs(
    texts: Iterator[str], *, special: Sequence[str], size: int, lowercase: bool, whitespace: bool
) -> Any:
    """Byte pairs as GPT-2 has them: nothing is unknown, white space is kept."""
    del whitespace
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase() if lowercase else None
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


def learn_unigram(
    texts: Iterator[str], *, special: Sequence[str], size: int, lowercase: bool, whitespace: bool
) -> Any:
    """Unigram pieces (Kudo 2018, https://arxiv.org/abs/1804.10959), sorted by their rounded log-probabilities.

    The library's trainer adds up over a hash table, whose order differs from process to process: it finds the same
    pieces, with scores that differ in the last digits and with equal ones in any order.
    """
    del whitespace
    learner = _unigram([normalizers.Lowercase()] if lowercase else [], models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=list(special), unk_token=UNKNOWN, show_progress=False
    )
    learner.train_from_iterator(texts, trainer=trainer)
    scores = {piece: round(score, DIGITS) for piece, score in json.loads(learner.to_str())["model"]["vocab"]}
    learned = sorted((-score, piece) for piece, score in scores.items() if piece not in special)
    pieces = [(piece, 0.0) for piece in special] + [(piece, -score) for score, piece in learned]
    model = models.Unigram(pieces[:size], special.index(UNKNOWN), False)
    tokenizer = _unigram([normalizers.Lowercase()] if lowercase else [], model)
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def _unigram(fold: list[Any], model: Any) -> Any:
    tokenizer: Any = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *fold])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


LEARNERS: dict[str, Callable[..., Any]] = {
    "byte_bpe": learn_byte_pairs,
    "character": learn_characters,
    "unigram": learn_unigram,
    "wordpiece": learn_word_pieces,
}
