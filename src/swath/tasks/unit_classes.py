"""What tasks that give a unit one class have in common, be it an image or a sequence: how they learn and are scored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from swath.data.classes import IGNORE, Classes
from swath.errors import DataError
from swath.metrics.bootstrap import percentile_interval
from swath.metrics.confusion import Confusion, summary
from swath.tasks.neural import NeuralTask
from swath.tasks.scores import Score, Scores

if TYPE_CHECKING:
    from torch import Tensor

#: Scores of a confusion matrix that mean something for units.
_METRICS = ("accuracy", "macro_f1", "kappa")


class UnitClassification(NeuralTask):
    """A task whose network gives logits `[B, K]`, one class a unit.

    Args:
        classes: Legend, in the order of the logits.
        arguments: Of `NeuralTask`.
        options: Of `NeuralTask`.
    """

    monitor = "val_macro_f1"

    def __init__(self, *arguments: Any, classes: Classes, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.classes = classes
        self.class_weights: Tensor | None = None
        self._confusion = Confusion(len(classes))

    @abstractmethod
    def class_of(self, batch: Mapping[str, Any]) -> Tensor:
        """Class of each unit `[B]`, `IGNORE` where none is known."""

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        """Loss of one batch."""
        truth = self.class_of(batch)
        weights = None if self.class_weights is None else self.class_weights.to(truth.device)
        loss = functional.cross_entropy(self(batch), truth, weights, ignore_index=IGNORE)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(truth), sync_dist=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Count anew."""
        self._confusion = Confusion(len(self.classes))

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        """Count one batch."""
        self._confusion.update(self(batch).argmax(1).cpu().numpy(), self.class_of(batch).cpu().numpy())

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, F1 and kappa of the validation part."""
        every: Any = self.all_gather(torch.from_numpy(self._confusion.matrix).to(self.device))
        matrix = every.reshape(-1, len(self.classes), len(self.classes)).sum(0).cpu().numpy()
        for name, value in self.summary(matrix).items():
            self.log(f"val_{name}", 0.0 if np.isnan(value) else value, rank_zero_only=False)

    def summary(self, matrix: np.ndarray) -> dict[str, float]:
        """The scores of a confusion matrix `[K, K]`, rows true."""
        return unit_summary(matrix)

    def require_classes(self, classes: Classes | None, name: str) -> None:
        """Raise `DataError` if data called `name` have other classes than the task."""
        if classes is None or classes.names != self.classes.names:
            raise DataError(
                f"{name} has other classes than the task",
                got="none" if classes is None else ", ".join(classes.names),
                expected=", ".join(self.classes.names),
            )


def unit_summary(matrix: np.ndarray) -> dict[str, float]:
    """Accuracy, mean F1 over the classes that occur, and kappa of a confusion matrix."""
    found = summary(matrix)
    return {name: found[name] for name in _METRICS}


def unit_scores(
    part: str,
    told: Mapping[str, np.ndarray],
    truth: np.ndarray,
    drawn: Iterable[Hashable],
    classes: Classes,
    what: str,
    *,
    level: float,
    resamples: int,
    seed: int,
) -> Scores:
    """Scores of a system and its baselines on the same units.

    Args:
        part: The part that was scored.
        told: Predicted classes `[N]` of the `system` and of each baseline.
        truth: True classes `[N]`.
        drawn: What the bootstrap draws each unit with: its group, or itself.
        classes: Legend.
        what: The units, for the report: `images`, `parcels`.
        level: Of the intervals.
        resamples: Draws of the bootstrap.
        seed: Of the bootstrap.
    """
    _, group = np.unique(np.array([str(one) for one in drawn]), return_inverse=True)
    groups, count = int(group.max()) + 1, len(classes)
    found, matrices = {}, {}
    for name, predicted in told.items():
        units = np.zeros((groups, count, count))  # as floats, drawing is a product of matrices
        np.add.at(units, (group, truth, predicted), 1)
        matrices[name] = units.sum(0).astype(np.int64)
        intervals = percentile_interval(units, unit_summary, level=level, resamples=resamples, seed=seed)
        values = unit_summary(matrices[name])
        found[name] = {metric: Score(value, *intervals[metric]) for metric, value in values.items()}
    return Scores(
        part,
        found.pop("system"),
        found,
        {"confusion": matrices["system"].tolist(), "classes": list(classes.names)},
        {
            what: len(truth),
            "intervals": f"{level:.0%}, bootstrap over {groups} {what if groups == len(truth) else 'groups'}",
        },
    )
