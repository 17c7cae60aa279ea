"""Floating-point operations of a model, counted on a copy without weights."""

from __future__ import annotations

import copy
import logging
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import qr
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

NOT_INPUTS = frozenset({"labels", "index", "step_targets"})
Shape = tuple[tuple[str, tuple[int, ...], str], ...]  # (name, size, dtype) of each input of a batch
Matrix = npt.NDArray[np.float64]
Forward = Callable[[Any, dict[str, Tensor]], Any]  # of a model over the inputs of a batch
KEPT = 1024  # counts that are remembered in a process
CHECKS = 2  # shapes that a fit has not seen
TOLERANCE = 5e-3  # of a fit, relative
log = logging.getLogger(__name__)
_counted: dict[tuple[str, Shape, bool], int] = {}


def plain_forward(model: nn.Module, inputs: dict[str, Tensor]) -> Any:
    """The model over all inputs by their names."""
    return model(**inputs)


def shape_of(batch: Mapping[str, Any]) -> Shape:
    """Return what the number of operations depends on: names, sizes and dtypes of the model's inputs."""
    return tuple(
        (name, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in batch.items()
        if isinstance(value, Tensor) and name not in NOT_INPUTS
    )


def rows_of(batch: Mapping[str, Any]) -> int:
    """Return the number of rows of a batch: the first size of its first table."""
    tables = (value for value in batch.values() if isinstance(value, Tensor) and value.ndim)
    return next((int(table.shape[0]) for table in tables), 0)


def without_weights(model: nn.Module) -> nn.Module:
    """Copy a model's structure with parameters and buffers that have sizes but, in a fake mode, no memory."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(_empty(parameter), requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = _empty(buffer)
    return copy.deepcopy(model, memo)


def count(
    model: nn.Module,
    shapes: Mapping[Shape, int],
    *,
    train: bool,
    forward: Forward = plain_forward,
    settings: tuple[Any, ...] = (),
) -> int | None:
    """Return the operations of running ``model`` on every shape as often as it occurred.

    A multiply-add counts as two operations. Training counts the forward and the backward pass, evaluation the
    forward pass; the optimizer, element-wise operations and the loss are left out, as is usual.

    Args:
        model: takes the inputs of a batch by name and returns logits or an object with tensors.
        shapes: how often each shape occurred.
        train: whether gradients were computed.
        forward: how the model is run over the inputs of a batch.
        settings: what the operations of ``forward`` follow from beside the model.

    Returns:
        The number, or None for a model that cannot run without data (control flow that looks at values, say).
    """
    try:
        with FakeTensorMode(), sdpa_kernel(SDPBackend.MATH):  # the fused kernels of some devices go uncounted
            copied, structure = (
                without_weights(model).train(train),
                f"{forward.__qualname__} {settings} {_structure(model)}",
            )

            device = next(copied.parameters()).device

            def operations(shape: Shape) -> int:
                key = (structure, shape, train)
                if key not in _counted:
                    if len(_counted) >= KEPT:
                        _counted.clear()
                    _counted[key] = _count_one(partial(forward, copied), shape, train=train, device=device)
                return _counted[key]

            others = [shape for known, shape, trained in _counted if (known, trained) == (structure, train)]
            fitted = _fit({**shapes, **dict.fromkeys(others, 0)}, operations) or operations
            return round(sum(fitted(shape) * times for shape, times in shapes.items()))
    except Exception as error:  # noqa: BLE001 - any failure means the same: not countable without data
        log.debug("FLOPs cannot be counted: %s", error)
        return None


def _structure(model: nn.Module) -> str:
    """What the operations follow from, so that the jobs of a sweep count once: all but weights and dropout."""
    settings: Any = getattr(model, "config", None)
    known = settings.to_dict() if hasattr(settings, "to_dict") else {}
    kept = sorted((key, str(value)) for key, value in known.items() if "drop" not in key)
    sizes = [(tuple(item.shape), item.requires_grad) for item in model.parameters()]
    return f"{re.sub(r'p=[0-9.e-]+', '', repr(model))} {kept} {sizes}"


def _fit(shapes: Collection[Shape], operations: Callable[[Shape], int]) -> Callable[[Shape], float] | None:
    """Fit rows x a polynomial of second degree in the lengths to a few shapes: a hundred need no hundred counts.

    Exact for transformers; strides that divide a length leave a remainder.

    Returns None, so that every shape is counted by itself, where the inputs have no rows in common, the shapes are
    few, or two other shapes show that the model does not follow the polynomial.
    """
    known = sorted(shapes, key=_lengths)
    terms = _terms(known)
    if terms is None or len(known) < (count := terms.shape[1]) + CHECKS + 1:
        return None
    order = qr(terms.T, mode="r", pivoting=True)[1]  # those first that say most
    fitted, rest = order[:count], np.sort(order[count:])
    per_row = [operations(known[place]) / _lengths(known[place])[0] for place in fitted]
    solved, _, rank, _ = np.linalg.lstsq(terms[fitted], np.array(per_row), rcond=None)
    rows = np.array([_lengths(shape)[0] for shape in known])
    estimates = dict(zip(known, (rows * (terms @ solved)).tolist(), strict=True))
    checks = [known[rest[(place + 1) * len(rest) // (CHECKS + 1)]] for place in range(CHECKS)]
    close = (math.isclose(estimates[shape], operations(shape), rel_tol=TOLERANCE) for shape in checks)
    return estimates.__getitem__ if rank == count and all(close) else None


def _lengths(shape: Shape) -> tuple[int, ...]:
    """All sizes of a shape, one after the other; the first one is the number of rows."""
    return tuple(length for _, size, _ in shape for length in size)


def _terms(shapes: Sequence[Shape]) -> Matrix | None:
    """One, each length that varies, and their products; None where the shapes are not of one kind."""
    kinds = {tuple((name, len(size), dtype) for name, size, dtype in shape) for shape in shapes}
    if len(kinds) != 1 or any(len({size[:1] for _, size, _ in shape}) != 1 for shape in shapes):
        return None
    sizes = np.array([_lengths(shape) for shape in shapes], float)
    firsts = np.cumsum([0, *[length for _, length, _ in kinds.pop()][:-1]])
    lengths = np.unique(np.delete(sizes, firsts, axis=1), axis=1)
    lengths = lengths[:, np.ptp(lengths, axis=0) > 0]
    with_one = np.column_stack([np.ones(len(sizes)), lengths / lengths.max(initial=1)])
    left, right = np.triu_indices(with_one.shape[1])
    products: Matrix = with_one[:, left] * with_one[:, right]
    return products


def _count_one(
    run: Callable[[dict[str, Tensor]], Any], shape: Shape, *, train: bool, device: torch.device
) -> int:
    batch = {name: torch.empty(size, dtype=getattr(torch, kind), device=device) for name, size, kind in shape}
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(train):
        outputs = run(batch)
        results = [_result(one) for one in (outputs if isinstance(outputs, list) else [outputs])]
        if train:
            sum(one.sum() for one in results if one.requires_grad).backward()  # type: ignore[union-attr]
    return int(counter.get_total_flops())


def _result(output: Any) -> Tensor:
    """What a loss is computed from: the logits, else the first table of numbers."""
    if isinstance(output, Tensor):
        return output
    if isinstance(logits := getattr(output, "logits", None), Tensor):
        return logits
    values = output.values() if isinstance(output, Mapping) else output
    return next(item for item in values if isinstance(item, Tensor) and item.is_floating_point())


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
