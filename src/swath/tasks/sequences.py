"""Classification of sequences: the class of a parcel, pixel or point from its numbers over time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import geopandas as gpd
import numpy as np
import pandas as pd
import torch

from swath.data.classes import Classes
from swath.data.sequence_config import load_sequences
from swath.data.sequences import Sequences, shared_units
from swath.errors import ConfigError, DataError
from swath.files import write_text
from swath.geo.tables import write_table
from swath.tasks.baselines import pixel_classifiers
from swath.tasks.normalise import Normalisation, Normalise
from swath.tasks.peak_rule import PeakRule
from swath.tasks.recipe import Recipe
from swath.tasks.scores import Scores
from swath.tasks.unit_classes import UnitClassification, unit_scores

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback
    from torch import Tensor, nn

    from swath.sensors.bands import Bands
    from swath.tasks.run import Run

#: What the features of a step are called where layers have names.
_NAME = "sequence"
#: Units that are judged together.
_JUDGED = 4096


class SequenceClassification(UnitClassification):
    """Classification of sequences of one length.

    Args:
        net: Normalised sequences `[B, T, C]` to logits `[B, K]`.
        features: What the numbers of a step are, in order.
        classes: Legend, in the order of the logits.
        steps: Length of the sequences.
        recipe: How it is trained; its patch, samples and augmentations do not matter.
        normalisation: Statistics of the features that belong to the weights; None takes them from the training part.
    """

    kind: ClassVar[str] = "sequence classification"

    def __init__(
        self,
        net: nn.Module,
        *,
        features: Bands,
        classes: Classes,
        steps: int,
        recipe: Recipe,
        normalisation: Normalisation | None = None,
    ) -> None:
        layers = None if normalisation is None else {_NAME: normalisation}
        super().__init__(net, bands={_NAME: features}, classes=classes, recipe=recipe, normalisation=layers)
        self.features, self.steps = features, steps

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Logits `[B, K]` of a batch of physical `values` `[B, T, C]`."""
        # steps stand where images have rows
        image = batch["values"].transpose(1, 2)[..., None]
        seen = torch.ones_like(image[:, 0], dtype=torch.bool)
        (scaled,) = self.inputs({"image": image, "valid": seen})
        return self.net(scaled[..., 0].transpose(1, 2))

    def prepare(self, data: Sequences) -> None:  # type: ignore[override]
        """Check the legend and weigh the classes."""
        self.require_classes(data.classes, data.name)
        if self.recipe.class_weights == "inverse":
            train = data.of_part("train")
            counts = np.bincount(train.known, minlength=len(self.classes))
            weights = len(train) / (len(self.classes) * np.maximum(counts, 1))
            self.class_weights = torch.tensor(weights, dtype=torch.float32)

    def class_of(self, batch: Mapping[str, Any]) -> Tensor:
        """See `UnitClassification.class_of`."""
        return batch["label"]

    def fit(  # type: ignore[override]
        self,
        data: Sequences,
        run: Path,
        *,
        recipe: Recipe | None = None,
        seed: int = 0,
        accelerator: str = "auto",
        callbacks: tuple[Callback, ...] = (),
    ) -> Run:
        """Train on the `train` part, select on `val`, leave a run.

        Args:
            data: Sequences with classes, split; units that were not seen are left out.
            run: Folder of the run; one that was cut off goes on after its last whole epoch.
            recipe: Replaces the task's own.
            seed: Of the order of units and of dropout; the first weights are the builder's affair.
            accelerator: As Lightning takes it.
            callbacks: Further Lightning callbacks.

        Raises:
            DataError: If there is no unit to learn from, or features, classes or length differ from the task's.
            RunError: If the loss is not finite, or the folder holds a run that was made otherwise.
        """
        run = Path(run)
        self.recipe = recipe or self.recipe
        data = self._fitting(data)
        self.prepare(data)
        train = data.of_part("train")
        validated = data.of_part("val") if data.parts is not None and (data.parts == "val").any() else None
        write_text(run / "data.json", json.dumps({"name": data.name, **data.facts}, indent=1, default=str))
        write_text(run / "leaks.json", json.dumps({"units of the same numbers": shared_units(data)}, indent=1))
        if self.normalise is None:
            self.normalise = Normalise({_NAME: _statistics(train)})
        self._units = _Units(train, validated, seed)
        return self.train_run(run, seed, accelerator=accelerator, validated=validated is not None, callbacks=callbacks)

    def train_dataloader(self) -> _Shuffled:  # type: ignore[override]
        """Batches of the present epoch."""
        return _Shuffled(self._units.train, self.recipe.batch, (self._units.seed, self.current_epoch))

    def val_dataloader(self) -> _Shuffled | list[Any]:  # type: ignore[override]
        """Batches of the validation part; none where there is none."""
        validated = self._units.validated
        return [] if validated is None else _Shuffled(validated, _JUDGED)

    def score(
        self, data: Sequences, part: str = "test", *, seed: int = 0, level: float = 0.95, resamples: int = 1000
    ) -> Scores:
        """Score on the units of a part, beside classifiers of the same numbers that saw the training part.

        Args:
            data: Sequences with classes, split.
            part: The part to score.
            seed: Of the bootstrap and of the random forest.
            level: Of the intervals.
            resamples: Draws of the bootstrap, over groups of units where the data have them, else over units.

        Raises:
            DataError: If the part has no unit with a class, or features, classes or length differ from the task's.
        """
        data = self._fitting(data)
        self.require_classes(data.classes, data.name)
        train, judged = data.of_part("train"), data.of_part(part)
        rivals = pixel_classifiers(_flat(train), train.known, seed)
        rivals["peak rule"] = PeakRule(self.steps, self.features).fit(_flat(train), train.known)
        told = {"system": self._probabilities(judged.values).argmax(1)}
        told |= {name: rival.predict(_flat(judged)) for name, rival in rivals.items()}
        drawn = judged.ids if judged.groups is None else judged.groups
        return unit_scores(
            part, told, judged.known, drawn, self.classes, "units", level=level, resamples=resamples, seed=seed
        )

    def predict(
        self, source: Sequences, output: Path, *, device: str = "cpu", provenance: Mapping[str, Any] | None = None
    ) -> list[Path]:
        """Write the class of each unit and the probability of every class.

        Args:
            source: The units; those that were not seen get no class.
            output: A table, `.csv`, `.json` or `.parquet`; of units with a place also `.gpkg`, `.geojson`, and
                `.parquet` is then GeoParquet.
            device: Where the network runs.
            provenance: Further facts, which go into `<output>.provenance.json`.

        Returns:
            The path of the table.

        Raises:
            DataError: If features or length differ from the task's.
            ConfigError: If the format of the table is unknown.
        """
        output = Path(output)
        data = self._fitting(source)
        seen = data.seen
        probabilities = np.full((len(data), len(self.classes)), np.nan)
        if seen.any():
            probabilities[seen] = self._probabilities(data.values[seen], device)
        best = np.where(seen, np.nan_to_num(probabilities).argmax(1), -1)
        names = np.array([*self.classes.names, None], object)
        table = pd.DataFrame({"id": data.ids, "class": names[best], "probability": probabilities.max(1)})
        for number, name in enumerate(self.classes.names):
            table[f"p_{name}"] = probabilities[:, number]
        if data.geometry is not None:
            table = gpd.GeoDataFrame(table, geometry=data.geometry.to_numpy(), crs=data.geometry.crs)
        elif output.suffix in (".gpkg", ".geojson"):
            raise ConfigError("The units have no place", got=output.suffix, expected=".csv, .json or .parquet")
        write_table(table, output)
        system = getattr(self, "system", {})
        facts = {"system": system.get("id"), "weights": self.weights_hash(), "inputs": data.name, **(provenance or {})}
        write_text(output.with_name(output.name + ".provenance.json"), json.dumps(facts, indent=1, default=str))
        return [output]

    def open_data(self, path: str) -> Sequences:
        """What `fit` and `score` take: sequences that a YAML describes, or a folder in the published layout."""
        return load_sequences(path, self.system["id"])

    @classmethod
    def described(cls, path: str, system: str) -> tuple[Sequences, dict[str, Any]]:
        """See `Task.described`: features as `bands`, the legend, and the length of the sequences."""
        data = load_sequences(path, system)
        return data, {"bands": data.features, "classes": data.classes, "length": data.steps}

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Sequences:
        """What `predict` takes: sequences that a YAML describes, with or without classes."""
        if len(words) != 1:
            raise ConfigError("Sequences are described by one YAML, or stand in one folder", got=", ".join(words))
        return self.open_data(words[0])

    def _fitting(self, data: Sequences) -> Sequences:
        data = data.with_features(self.features)
        if data.steps != self.steps:
            raise DataError(f"{data.name} have another number of steps", got=data.steps, expected=self.steps)
        return data

    @torch.inference_mode()
    def _probabilities(self, values: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Probability of each class `[N, K]`."""
        self.eval().to(device)
        pieces = [torch.from_numpy(values[at : at + _JUDGED]) for at in range(0, len(values), _JUDGED)]
        return np.concatenate([self({"values": piece.to(device)}).float().softmax(1).cpu().numpy() for piece in pieces])


@dataclass(frozen=True)
class _Units:
    """What the loaders of a fit are made of."""

    train: Sequences
    validated: Sequences | None
    seed: int


class _Shuffled:
    """Batches of `values` `[B, T, C]` and `label` `[B]`, shuffled by a seed or in order."""

    def __init__(self, data: Sequences, batch: int, seed: tuple[int, int] | None = None) -> None:
        self._data, self._batch, self._seed = data, batch, seed

    def __len__(self) -> int:
        return -(-len(self._data) // self._batch)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = np.arange(len(self._data))
        if self._seed is not None:
            order = np.random.default_rng(self._seed).permutation(order)
        for start in range(0, len(order), self._batch):
            chosen = order[start : start + self._batch]
            values, labels = self._data.values[chosen], self._data.known[chosen]
            yield {"values": torch.from_numpy(values), "label": torch.from_numpy(labels)}


def _statistics(train: Sequences) -> Normalisation:
    """Mean and deviation of each feature over all steps; a feature that does not vary keeps its scale."""
    mean, std = train.values.mean((0, 1), np.float64), train.values.std((0, 1), np.float64)
    return Normalisation(tuple(mean.tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))


def _flat(data: Sequences) -> np.ndarray:
    return data.values.reshape(len(data), -1)
