"""The Task contract: four verbs that every system keeps, with or without a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from swath import registry
from swath.errors import RunError
from swath.tasks.plain import from_plain, to_plain
from swath.tasks.run import Run

if TYPE_CHECKING:
    from torch import nn

    from swath.data.series import SeriesInput
    from swath.sensors.bands import Bands
    from swath.tasks.scores import Scores


class Task(ABC):
    """How a thing is trained, applied and scored; each kind of task adds options with defaults to the verbs.

    Attributes:
        kind: The kind of task, for example `segmentation`.
        system: Id and options of the system that made it, as `registry.create` set them; saved with every run.
        net: The bare network on tensors; None where there is none.
        bands: Bands of each image layer that it takes; empty where it takes no images.
        series: What it takes of each time series; empty where it takes none.
        trained: Whether it must learn, or be loaded, before it can be applied.
    """

    kind: ClassVar[str]
    trained: ClassVar[bool] = True
    system: dict[str, Any]
    net: nn.Module | None
    bands: Mapping[str, Bands]
    series: Mapping[str, SeriesInput] = MappingProxyType({})

    @abstractmethod
    def fit(self, data: Any, run: Path) -> Run:
        """Train on the `train` part of `data`, select on `val`, and leave a run in the folder `run`."""

    @abstractmethod
    def predict(self, source: Any, output: Path) -> list[Path]:
        """Apply to a source and write products; returns the paths written, the main one first."""

    @abstractmethod
    def score(self, data: Any, part: str = "test") -> Scores:
        """Score on a part of labelled data, beside the named naive baselines."""

    @abstractmethod
    def learned(self, run: Path) -> dict[str, Any]:
        """Write what was learned into the folder `run`; returns plain values that belong into its `task.json`."""

    @abstractmethod
    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take back what `learned` wrote; `description` is the content of `task.json`."""

    def open_data(self, path: str) -> Any:
        """What `fit` and `score` take, from the path that a command line names: by default scenes with labels."""
        from swath.data.config import load_data

        return load_data(path, self.system["id"])

    @classmethod
    def described(cls, path: str, system: str) -> tuple[Any, dict[str, Any]]:
        """Labelled data for a system, and what they say of the arguments of its builder: `bands`, `classes`, `series`.

        Args:
            path: As the command line names them.
            system: Id of the system.
        """
        from swath.data.config import load_data

        data = load_data(path, system)
        layers = data.bands
        bands = next(iter(layers.values())) if len(layers) == 1 else layers
        return data, {"bands": bands, "classes": data.classes, "series": data.series}

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Any:
        """What `predict` takes, from the words of a command line: by default a scene (`swath.data.scene_words`)."""
        from swath.data.scene_words import open_scene

        return open_scene(words, self.bands, crs, self.series)

    def save(self, run: Path) -> None:
        """Write all that `load` needs into the folder `run`.

        Raises:
            RunError: If the task was not made by a registered system.
        """
        if not hasattr(self, "system"):
            raise RunError("This task was not made by `swath.create`, so no file could say how to make it again")
        Run(run).write_description({"kind": self.kind, "system": to_plain(self.system), **self.learned(run)})

    @staticmethod
    def load(run: Path) -> Task:
        """The task of a run folder, with what it learned.

        Raises:
            RunError: If the folder holds no run, or a damaged one.
            UnknownNameError: If there is no such system.
        """
        description = Run(run).description
        system = description.get("system")
        if not isinstance(system, dict) or not {"id", "options"} <= system.keys():
            raise RunError(f"{run} does not say which system it is of")
        options = from_plain(system["options"])
        # The run holds what it learned. The file that training began with counts only where it may hold frozen parts.
        if "frozen" not in description or not Path(options.get("weights") or "").is_file():
            options.pop("weights", None)
        task = registry.create(system["id"], **options)
        task.recall(run, description)
        return task
