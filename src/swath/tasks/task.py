"""The Task contract: four verbs that every system keeps, with or without a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import nn

    from swath.tasks.run import Run
    from swath.tasks.scores import Scores


class Task(ABC):
    """How a thing is trained, applied and scored.

    Attributes:
        kind: The kind of task, for example `segmentation`.
        system: Id and options of the system that made it, as `registry.create` set them; saved with every run.
        net: The bare network on tensors; None where there is none.
    """

    kind: ClassVar[str]
    system: dict[str, Any] | None = None
    net: nn.Module | None = None

    @abstractmethod
    def fit(self, data: Any, run: Path, **options: Any) -> Run:
        """Train on the `train` part of `data`, select on `val`, and leave a run in the folder `run`."""

    @abstractmethod
    def predict(self, source: Any, output: Path, **options: Any) -> list[Path]:
        """Apply to a source and write products; returns the paths written, the main one first."""

    @abstractmethod
    def score(self, data: Any, part: str = "test", **options: Any) -> Scores:
        """Score on a part of labelled data, beside the named naive baselines."""

    @abstractmethod
    def save(self, run: Path) -> None:
        """Write what `load` needs to make the same task again into the folder `run`."""

    @classmethod
    @abstractmethod
    def load(cls, run: Path) -> Task:
        """Make the task of a run folder."""
