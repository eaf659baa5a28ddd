"""Effects in observational studies whose confounders images show: propensities, adjustment, diagnostics."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from torch import nn

from swath.causal import propensity as models
from swath.causal.adjustment import Adjusted, balance, study, told_apart
from swath.causal.chip_net import ChipNet, NetTraining, gradients, net_values
from swath.causal.fitted_clusters import with_own_images
from swath.causal.folds import image_folds
from swath.causal.orthogonal import covariate_slopes, without_covariates
from swath.causal.outcome_models import outcome_surfaces
from swath.causal.representations import random_features
from swath.causal.standard import Standard
from swath.causal.units import Units, read_units
from swath.errors import RunError
from swath.files import write_text
from swath.metrics.bootstrap import percentile_interval
from swath.tasks.confounding_picture import draw_study
from swath.tasks.effect_products import write_unit_table
from swath.tasks.run import Run
from swath.tasks.scores import Score, Scores
from swath.tasks.study_task import StudyTask
from swath.tasks.weights import load_into, load_state, save_state

#: Files of a run beside those of every run.
_WEIGHTS, _KEYS, _STUDY, _UNITS, _BALANCE = (
    "weights.safetensors", "keys.json", "study.json", "units.csv", "balance.csv",
)  # fmt: skip

#: Images whose salience is shown.
_SHOWN = 8

Way = Literal["frozen", "network"]


@dataclass(frozen=True)
class _Learned:
    """Models of a study: of propensities one a fold of images, and two to compare with.

    Attributes:
        standard: Of the study.
        keys: Of the images fitted to.
        fold: Of each of them.
        folds: A propensity for each fold, from the rest.
        rivals: A propensity from covariates alone for each fold, likewise.
        share: Of the treated.
    """

    standard: Standard
    keys: np.ndarray
    fold: np.ndarray
    folds: Sequence[models.RidgeLogistic | ChipNet]
    rivals: Sequence[models.RidgeLogistic]
    share: float


class Confounding(StudyTask):
    """Adjust an observational study for what images show.

    Args:
        way: `frozen`, a ridge logistic regression on random features of the image, or `network`, trained from pixels.
        filters: Number of random filters, and their edge in pixels.
        folds: Of images.
        encoder: Makes the network's image encoder for a number of frames and bands.
        width: Number of its features.
        training: Of networks.
        orthogonalise: Whether covariates are taken out of the outcome first.
    """

    kind: ClassVar[str] = "confounding"

    def __init__(
        self,
        way: Way,
        filters: tuple[int, int],
        folds: int,
        encoder: Callable[[int, int], nn.Module],
        width: int,
        training: NetTraining,
        orthogonalise: bool = False,
    ) -> None:
        self.way, self.filters, self.folds, self.orthogonalise = way, filters, folds, orthogonalise
        self.encoder, self.width, self.training = encoder, width, training
        self.learned_models: _Learned | None = None
        self.net, self.bands = None, {}

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Units:
        """Units that a YAML describes."""
        return read_units(words[0])

    def fit(self, data: Units, run: Path, *, seed: int = 0, draws: int = 100, level: float = 0.9) -> Run:
        """Learn propensities over folds of images, and estimate the average effect.

        The run holds `study.json` (estimates, diagnostics, overlap), `units.csv` (a propensity for each unit, by a
        model that never saw its image), `balance.csv`, and `study.png`. In the bootstrap draws images with all of
        their units; the frozen way fits propensities again for each draw, the other holds them fixed.

        Args:
            data: Units with treatment and outcome; those of part `train` where the study has parts.
            run: The folder.
            seed: Of folds, networks and draws.
            draws: Of the bootstrap.
            level: Of intervals.

        Raises:
            DataError: If the units cannot be used, or there is no overlap.
        """
        units = with_own_images(data.of_part("train"))
        if self.orthogonalise:
            slopes = covariate_slopes(units)
            units = replace(units, outcome=without_covariates(units.studied()[1], units.covariates, slopes))
        treatment, outcome = units.studied()
        empty = _Learned(
            Standard.of(units), units.keys, image_folds(len(units.keys), self.folds, seed), (), (),
            float(treatment.mean()),
        )  # fmt: skip
        units = empty.standard(units)
        fold, columns = empty.fold[units.image_of], self._columns(units)
        strength = models.choose_strength(columns, treatment, units.image_of, seed)
        rests = [units.select(fold != number) for number in range(self.folds)]
        self.learned_models = replace(
            empty,
            folds=[self._fitted(rest, columns[fold != n], strength, seed) for n, rest in enumerate(rests)],
            rivals=[models.RidgeLogistic.fitted(_beside(rest), rest.studied()[0], 1.0) for rest in rests],
        )
        every = self._every(units)
        told, seen = self._unseen(units, every), self._seen(units, every)
        untreated, treated = outcome_surfaces(columns, treatment, outcome, fold)

        def again(weights: np.ndarray) -> np.ndarray:
            return models.out_of_fold(columns, treatment, fold, strength, weights)

        adjusted = Adjusted(told, untreated, treated, again if self.way == "frozen" else None, seen)
        found = study(units, adjusted, draws, level, seed) | {"covariates": self._covariates(units)}
        table = balance(units, told)
        self.save(run)
        write_text(run / _STUDY, json.dumps({"level": level, **found}, indent=1))
        write_text(run / _BALANCE, table.to_csv(index=False))
        write_text(run / _UNITS, _unit_table(units, told).to_csv(index=False))
        draw_study(run / "study.png", units, told, table, found, self._salience(units))
        return Run(run)

    def predict(self, source: Units, output: Path) -> list[Path]:
        """Tell the propensity of units, neither whose treatment nor outcome is read.

        Args:
            source: Units. Those whose image was fitted to are told by the models that never saw it.
            output: A table, `.csv`, `.json` or `.parquet`; of known places also `.gpkg` and `.geojson`.

        Returns:
            The path.

        Raises:
            DataError: If the units have other bands, frames or covariates.
        """
        units = self._models().standard(with_own_images(source))
        return write_unit_table(_unit_table(units, self._unseen(units, self._every(units))), units, Path(output))

    def score(
        self, data: Units, part: str = "test", *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> Scores:
        """Score propensities against treatments, beside the constant share and covariates without images.

        A good score does not prove that all confounders are seen; a propensity no better than constant says that
        images tell nothing of who was treated, so that adjusting for them changes nothing.

        Args:
            data: Units with treatment and outcome. Images that were fitted to are told by models that never saw them.
            part: The part to score.
            level: Of the intervals.
            resamples: Draws of images with all of their units.
            seed: Of the draws.

        Raises:
            DataError: If the units cannot be used.
        """
        learned = self._models()
        units = learned.standard(with_own_images(data.of_part(part)))
        treatment, _ = units.studied()
        told = {
            "system": self._unseen(units, self._every(units)),
            "constant": np.full(len(units), learned.share),
            "covariates": self._unseen(units, np.stack([rival.predict(_beside(units)) for rival in learned.rivals])),
        }
        found = {}
        for name, probability in told.items():
            losses = -np.log(np.where(treatment == 1, probability, 1 - probability))
            sums = np.stack([np.bincount(units.image_of, losses), np.bincount(units.image_of)], axis=1)
            interval = percentile_interval(sums, _mean_loss, level=level, resamples=resamples, seed=seed)
            values = told_apart(treatment, probability)
            found[name] = {k: Score(v, *interval.get(k, (None, None))) for k, v in values.items()}
        return Scores(
            part,
            found.pop("system"),
            found,
            facts={
                "units": len(units),
                "images": len(units.keys),
                "images fitted to, told by models that never saw them": int(np.isin(units.keys, learned.keys).sum()),
                "intervals": f"{level:.0%} of the cross entropy, drawn by images",
            },
        )

    def learned(self, run: Path) -> dict[str, Any]:
        """Write models and keys."""
        learned = self._models()
        state = {"fold": torch.from_numpy(learned.fold)} | learned.standard.state()
        for kind, fitted in (("folds", learned.folds), ("rivals", learned.rivals)):
            for number, model in enumerate(fitted):
                parts = model.state_dict() if isinstance(model, nn.Module) else _arrays(model)
                state |= {f"{kind}.{number}.{name}": value for name, value in parts.items()}
        save_state(state, run / _WEIGHTS)
        write_text(run / _KEYS, json.dumps(learned.keys.tolist()))
        return {"share": learned.share}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take back models and keys.

        Raises:
            RunError: If the run is damaged.
            WeightsError: If its weights do not fit.
        """
        state = load_state(run / _WEIGHTS)
        try:
            keys = np.array(json.loads((run / _KEYS).read_text("utf-8")), dtype=str)
            standard, fold = Standard.of_state(state), state["fold"].numpy()
            rivals = [_ridge(state, f"rivals.{number}.") for number in range(self.folds)]
            folds: list[Any] = (
                [_ridge(state, f"folds.{number}.") for number in range(self.folds)]
                if self.way == "frozen"
                else [self._net(state, standard, f"folds.{number}.", run) for number in range(self.folds)]
            )
            share = float(description["share"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{run} is damaged", got=repr(error)) from error
        self.learned_models = _Learned(standard, keys, fold, folds, rivals, share)

    def _models(self) -> _Learned:
        if self.learned_models is None:
            raise RunError("The task has learned nothing yet", fix="Fit it, or load a run")
        return self.learned_models

    def _columns(self, units: Units) -> np.ndarray:
        """Random features of its image and covariates of each unit, both standardised."""
        features = random_features(units.images, *self.filters)[units.image_of]
        return np.concatenate([features, units.covariates], axis=1)

    def _fitted(self, rest: Units, columns: np.ndarray, strength: float, seed: int) -> models.RidgeLogistic | ChipNet:
        if self.way == "frozen":
            return models.RidgeLogistic.fitted(columns, rest.studied()[0], strength)
        frames, bands = rest.images.shape[1:3]
        return models.train_net(lambda: self.encoder(frames, bands), self.width, rest, self.training, seed)

    def _every(self, units: Units) -> np.ndarray:
        """Propensity of each unit by each model, `[folds, units]`."""
        columns = self._columns(units) if self.way == "frozen" else units.covariates
        return np.stack(
            [
                models.clipped(expit(net_values(model, units)))
                if isinstance(model, ChipNet)
                else model.predict(columns)
                for model in self._models().folds
            ]
        )

    def _seen(self, units: Units, every: np.ndarray) -> np.ndarray:
        """Mean propensity of each unit fitted to by the models that saw it."""
        own = np.arange(self.folds)[:, None] == self._models().fold[units.image_of]
        return np.where(own, 0.0, every).sum(axis=0) / (self.folds - 1)

    def _unseen(self, units: Units, every: np.ndarray) -> np.ndarray:
        """Of `[folds, units]` what the model says that never saw the image; of new images the mean of all."""
        learned = self._models()
        fold_of = dict(zip(learned.keys.tolist(), learned.fold.tolist(), strict=True))
        fold = np.array([fold_of.get(str(key), -1) for key in units.keys])[units.image_of]
        picked = every[np.maximum(fold, 0), np.arange(len(units))]
        return np.where(fold >= 0, picked, every.mean(axis=0))

    def _salience(self, units: Units) -> np.ndarray | None:
        """Gradient of the logit of the first images, by the network of the first fold; None where there is none."""
        first = self._models().folds[0]
        if not isinstance(first, ChipNet):
            return None
        _, unit = np.unique(units.image_of, return_index=True)
        return gradients(first, units.images[:_SHOWN], units.covariates[unit[:_SHOWN]])[0]

    def _covariates(self, units: Units) -> dict[str, float]:
        """What one more of each covariate adds to the logit of treatment, averaged over units and models."""
        learned, count = self._models(), units.covariates.shape[1]
        if not count:
            return {}
        chosen = np.linspace(0, len(units) - 1, min(len(units), 100)).astype(int)
        slopes = [
            gradients(model, units.images[units.image_of[chosen]], units.covariates[chosen])[1].mean(axis=0)
            if isinstance(model, ChipNet)
            else (model.slopes / model.spread)[-count:]
            for model in learned.folds
        ]
        told = np.mean(slopes, axis=0) / learned.standard.covariate_spread
        return dict(zip(units.covariate_names, told.tolist(), strict=True))

    def _net(self, state: dict[str, torch.Tensor], standard: Standard, prefix: str, run: Path) -> ChipNet:
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        encoder = self.encoder(int(standard.frames[0]), len(standard.centre))
        net = ChipNet(encoder, self.width, len(standard.covariate_centre))
        load_into(net, own, name=str(run / _WEIGHTS))
        return net.eval()


def _unit_table(units: Units, told: np.ndarray) -> pd.DataFrame:
    table = {"unit": np.arange(len(units)), "image": units.keys[units.image_of], "lon": units.lon, "lat": units.lat}
    return pd.DataFrame({**table, "propensity": told})


def _beside(units: Units) -> np.ndarray:
    """Covariates, or a column of zeros where there are none."""
    return units.covariates if units.covariates.shape[1] else np.zeros((len(units), 1))


def _arrays(model: models.RidgeLogistic) -> dict[str, torch.Tensor]:
    names = ("centre", "spread", "slopes", "intercept")
    return {n: torch.from_numpy(np.atleast_1d(v)) for n, v in zip(names, astuple(model), strict=True)}


def _ridge(state: dict[str, torch.Tensor], prefix: str) -> models.RidgeLogistic:
    centre, spread, slopes, intercept = (state[prefix + n].numpy() for n in ("centre", "spread", "slopes", "intercept"))
    return models.RidgeLogistic(centre, spread, slopes, float(intercept[0]))


def _mean_loss(sums: np.ndarray) -> dict[str, float]:
    return {"cross_entropy": float(sums[0] / max(sums[1], 1))}
