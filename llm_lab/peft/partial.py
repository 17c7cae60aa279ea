"""Training a part of a model's own parameters: all, biases, the head alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from llm_lab.errors import ConfigError
from llm_lab.models.wrapper import Wrapper
from llm_lab.peft.head import head_of, train_only


class Partial(Wrapper):
    r"""Freezes all but the head and the parameters that are named.

    ``[]`` is a linear probe, ``['\\.bias$']`` is BitFit (Ben Zaken et al. 2022,
    https://arxiv.org/abs/2106.10199).

    Args:
        train: regular expressions, searched for in the names of parameters.
        lr: learning rate that suits the method; nothing reads it but ``optimizer.lr: ${peft.lr}``.

    Raises:
        ConfigError: an expression is broken or finds no parameter of the model, or nothing would train.
    """

    writes_weights = False

    def __init__(self, *, train: Sequence[str] = (), lr: float | None = None) -> None:
        del lr
        try:
            self.patterns = [re.compile(pattern) for pattern in train]
        except re.error as error:
            raise ConfigError(f"train: {error.pattern!r} is no regular expression: {error}") from error

    def __call__(self, module: nn.Module) -> nn.Module:
        """Set ``requires_grad`` in place; what is frozen already stays so."""
        head = head_of(module)
        names = [name for name, one in module.named_parameters() if id(one) not in head]
        for pattern in self.patterns:
            if not any(map(pattern.search, names)):
                raise ConfigError(
                    f"peft.train: no parameter of {type(module).__name__} matches {pattern.pattern!r}; "
                    f"they are named like {names[-1]}"
                )
        train_only(
            module,
            lambda name, one: id(one) in head or any(pattern.search(name) for pattern in self.patterns),
        )
        if not any(one.requires_grad for one in module.parameters()):
            raise ConfigError(
                f"peft: {type(module).__name__} has no head of its own that could train; take peft=lora"
            )
        return module
