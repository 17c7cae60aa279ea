"""Where a model looked: maps of a few test rows over their pictures and spectrograms, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from llm_lab.data.spec import KEY

MEDIA = ("image", "audio")
TITLE = "Where the model looked"


class Maps(Callback):
    """Integrated gradients (Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365) of the class that was told.

    What is attributed is the way from the mean of the data (zero, after standardization) to the row itself. Only models
    of several modalities that tell one label, with pictures or sounds among their inputs, on one device, have maps;
    for others nothing happens.

    Args:
        rows: of the test split; half of them wrong ones, where there are so many, the surest first.
        steps: of the integral.
    """

    def __init__(self, *, rows: int = 6, steps: int = 16) -> None:
        self.rows, self.steps = rows, steps

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the maps into the task's pictures."""
        task: Any = pl_module
        inputs = {name: facts for name, facts in task.spec.inputs.items() if facts["kind"] in MEDIA}
        told = task.predictions if inputs and task.spec.problem == "single_label" else {}
        if not told or trainer.world_size > 1 or not self.rows:
            return
        from llm_lab.tracking.maps import Looked, draw

        found = [
            Looked(
                told=task.spec.labels[int(probabilities.argmax())],
                sure=float(probabilities.max()),
                actual=task.spec.labels[label],
                values={name: values.numpy() for name, values in batch.items()},
                maps=maps,
            )
            for probabilities, label, batch, maps in self._rows(trainer, task, list(inputs))
        ]
        task.pictures = {**task.pictures, TITLE: [draw(name, facts, found) for name, facts in inputs.items()]}

    def _rows(self, trainer: Any, task: Any, names: list[str]) -> Any:
        """Probabilities, label, batch and maps of each chosen row."""
        told = task.predictions
        probabilities, labels = told["probabilities"].float().numpy(), told["labels"].numpy()
        for place in chosen(probabilities, labels, self.rows):
            row = np.array([int(told["index"][place])])
            with torch.inference_mode(mode=False), torch.enable_grad():  # a test has switched gradients off
                loader = trainer.datamodule.test_dataloader()
                batch = {name: value.to(task.device) for name, value in loader.batch(row, row).items()}
                inputs = {name: value for name, value in task.inputs(batch).items() if not name.endswith(KEY)}
                target = int(probabilities[place].argmax())
                maps = attributed(task.network(), inputs, names, target=target, steps=self.steps)
                shown = {name: value.cpu()[0] for name, value in inputs.items()}
            yield probabilities[place], int(labels[place]), shown, maps


def chosen(probabilities: NDArray[Any], labels: NDArray[Any], rows: int) -> list[int]:
    """Places of up to half as many wrong rows, the surest first, and of right ones, evenly spaced.

    Args:
        probabilities: [N, C].
        labels: [N].
        rows: how many in all.
    """
    right = probabilities.argmax(axis=1) == labels
    wrong = np.flatnonzero(~right)
    worst = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][: rows // 2]
    others = np.flatnonzero(right)
    count = min(len(others), rows - len(worst))
    return [*worst.tolist(), *others[np.linspace(0, len(others) - 1, count).astype(int)].tolist()]


def attributed(
    model: Any, inputs: Mapping[str, Tensor], names: list[str], *, target: int, steps: int
) -> dict[str, NDArray[np.float32]]:
    """What each value of the inputs ``names`` adds to a logit, of one row and in its shape without the first size.

    Args:
        model: gives logits of named tensors; in evaluation mode.
        inputs: tensors [1, ...].
        names: of those that are asked about.
        target: number of the class.
        steps: of the integral.
    """
    from captum.attr import IntegratedGradients

    others = [name for name in inputs if name not in names]

    def logits(*values: Tensor) -> Tensor:
        found: Tensor = model(**dict(zip([*names, *others], values, strict=True))).logits
        return found.float()

    maps = IntegratedGradients(logits).attribute(
        tuple(inputs[name] for name in names),
        target=target,
        n_steps=steps,
        additional_forward_args=tuple(inputs[name] for name in others),
    )
    return {name: one[0].detach().cpu().numpy() for name, one in zip(names, maps, strict=True)}
