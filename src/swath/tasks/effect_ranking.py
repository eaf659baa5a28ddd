"""Effects that images of places tell in a randomised trial: learned over folds, ranked, weighed, carried elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from swath.causal.chip_net import ChipNet, NetTraining
from swath.causal.choices import columns_of, every_choice, factors
from swath.causal.cluster_study import calibration
from swath.causal.effect_clusters import ClusterOptions, EffectClusters, Scale
from swath.causal.effect_fits import Learner, Model, Plan, fit_effects, held_out, held_out_scores, unseen_effects
from swath.causal.effect_learners import LEARNERS, of_state, state_of
from swath.causal.fitted_clusters import Rivals, with_own_images
from swath.causal.folds import FoldFits, reshuffled_folds, rests
from swath.causal.ranking_study import land_cover_study, ranking_study
from swath.causal.representations import Representation, random_features
from swath.causal.standard import Standard
from swath.causal.targeting import curve_band, rates
from swath.causal.units import Units
from swath.data.raster import open_raster
from swath.data.sources import Source
from swath.errors import ConfigError, DataError, RunError
from swath.files import write_text
from swath.geo.stac import sha256
from swath.tasks.effect_products import write_scene_map, write_unit_table
from swath.tasks.run import Run
from swath.tasks.scores import Score, Scores
from swath.tasks.study_task import StudyTask
from swath.tasks.weights import load_into, load_state, save_state

#: Files of a run beside those of every run.
_WEIGHTS, _KEYS, _STUDY, _UNITS = "weights.safetensors", "keys.json", "study.json", "units.csv"
_CHOICES, _FACTORS, _PICTURE = "choices.csv", "factors.csv", "study.png"
#: Clusters of the baseline that clusters first.
_CLUSTERS = 2
#: Bands of a map.
_MAP_BANDS = ("effect", "effect_sd")


@dataclass(frozen=True)
class Analysis:
    """How effects are learned from units.

    Attributes:
        learner: As `swath.causal.effect_fits.Plan`.
        inputs: `images`, `table` or `both`.
        representation: Frozen features of images, for outcomes and for learners of columns.
        encoder: Makes an encoder from a number of frames and bands, for learners from pixels.
        width: Number of its features.
        training: Of learners from pixels.
        folds: Of images.
        reshuffles: How often images are divided anew.
    """

    learner: Learner
    inputs: str
    representation: Callable[[int], Representation]
    encoder: Callable[[int, int], nn.Module]
    width: int
    training: NetTraining
    folds: int
    reshuffles: int

    def plan(self, standard: Standard) -> Plan:
        """For images of a study."""
        frames, bands = int(standard.frames[0]), len(standard.centre)
        return Plan(self.learner, lambda: self.encoder(frames, bands), self.width, self.training)


@dataclass(frozen=True)
class _Learned:
    """All that was learned of a trial; `rivals` are the baselines of each fit."""

    standard: Standard
    representation: Representation
    fits: FoldFits[Model]
    rivals: Sequence[Rivals]
    size: int


class EffectRanking(StudyTask):
    """Learn effects of a randomised trial from image sequences, and tell what ranking by them is worth.

    Args:
        analysis: How.
    """

    kind: ClassVar[str] = "effect ranking"

    def __init__(self, analysis: Analysis) -> None:
        if analysis.folds < 2 or analysis.reshuffles < 1:
            raise ConfigError(
                "There must be two folds and one reshuffle", got=f"{analysis.folds} and {analysis.reshuffles}"
            )
        self.analysis = analysis
        self.learned_models: _Learned | None = None
        self.net, self.bands = None, {}

    def fit(
        self,
        data: Units,
        run: Path,
        *,
        seed: int = 0,
        draws: int = 200,
        level: float = 0.9,
        choices: bool = False,
        landcover: str | None = None,
        square: float = 640.0,
    ) -> Run:
        """Fit to the rest of each fold of images, and weigh the effects that are told of images never seen.

        The run holds `units.csv`, a row for each unit, `study.json`: average and rank-weighted effects, calibration,
        and what rules of whom to treat would gain, all that as `study.png`; with `choices` also `choices.csv` and
        `factors.csv`.

        Args:
            data: Units with treatment and outcome; those of part `train` where the study has parts.
            run: The folder.
            seed: Of folds, fits and draws.
            draws: Half samples of images.
            level: Of intervals.
            choices: Whether all other ways to analyse the trial are reported beside the one asked for.
            landcover: A raster of class codes, on whose shares around places effects are regressed.
            square: Edge of what counts as around, metres.

        Raises:
            ConfigError: If an option makes no sense.
            DataError: If the units cannot be used.
        """
        _check(draws, level)
        units = with_own_images(data.of_part("train"))
        units.studied()
        height, width = units.images.shape[-2:]
        if height != width:
            raise DataError("Images are not square", got=f"{height} x {width}")
        standard, analysis = Standard.of(units), self.analysis
        fold_of = reshuffled_folds(len(units.keys), analysis.folds, analysis.reshuffles, seed)
        units, representation = standard(units), analysis.representation(len(standard.centre))
        columns = self._columns(units, representation)
        fits = fit_effects(self._seen(units), columns, analysis.plan(standard), fold_of, seed)
        features = random_features(units.images)
        rivals = [
            Rivals.fitted(units.select(rest[units.image_of]), features, _CLUSTERS, seed + number)
            for number, rest in enumerate(rests(fold_of))
        ]
        self.learned_models = _Learned(standard, representation, fits, rivals, height)
        told, scores = unseen_effects(fits, self._seen(units), columns), held_out_scores(units, columns, fold_of)
        found = {"level": level} | ranking_study(units, told, scores, self._rivals(units), draws, level, seed)
        if landcover is not None:
            found |= {"land_cover": land_cover_study(units, told, scores, open_raster(landcover), square)}
        table = (
            every_choice(units, analysis.plan(standard), fold_of[:1], min(draws, 100), level, seed) if choices else None
        )
        self.save(run)
        if table is not None:
            write_text(run / _CHOICES, table.to_csv(index=False))
            write_text(run / _FACTORS, factors(table).to_csv(index=False))
        write_text(run / _STUDY, json.dumps(found, indent=1))
        write_text(run / _UNITS, _unit_table(units, told.effect, told.sd).assign(score=scores).to_csv(index=False))
        from swath.tasks.ranking_picture import draw_study

        shares_of = np.linspace(0.02, 1, 50)
        band = curve_band(scores, told.priority, units.image_of, shares_of, draws, level, seed)
        draw_study(run / _PICTURE, units, told.effect, scores, (shares_of, band), table)
        return Run(run)

    def predict(
        self,
        source: Units | Sequence[Source],
        output: Path,
        *,
        step: int | None = None,
        resolution: float | None = None,
    ) -> list[Path]:
        """Carry effects to places: a table of units, or a map of scenes.

        Args:
            source: Units, of which neither treatment nor outcome is read, or a scene for each frame. Units whose image
                was fitted to are told by the fits that never saw it.
            output: A table (`.csv`, `.json`, `.parquet`, or of known places `.gpkg`, `.geojson`), or a map (`.tif`)
                with bands `effect` and `effect_sd`, its standard error, NaN where too few pixels are valid.
            step: Edge of a cell of the map, in pixels of a chip; None takes a whole chip.
            resolution: Edge of a pixel of a chip in metres, as the study's chips had; None takes the scene's own.

        Returns:
            The path, and that of the STAC item of a map.

        Raises:
            ConfigError: If the source cannot become such a product.
            DataError: If it does not fit what was fitted to.
        """
        output, learned = Path(output), self._learned()
        if isinstance(source, Units):
            units = learned.standard(with_own_images(source))
            columns = self._columns(units, learned.representation)
            told = unseen_effects(learned.fits, self._seen(units), columns)
            return write_unit_table(_unit_table(units, told.effect, told.sd), units, output)
        if self.analysis.inputs != "images":
            raise ConfigError(
                "A map shows what images tell, and this run asks for covariates", fix="Fit with `--inputs images`"
            )

        def tell(images: np.ndarray) -> pd.DataFrame:
            nowhere = _of_images(learned.standard.images(images), len(learned.standard.covariate_centre))
            told = unseen_effects(learned.fits, self._seen(nowhere), self._columns(nowhere, learned.representation))
            return pd.DataFrame({"effect": told.effect, "effect_sd": told.sd})

        about = {"system": self.system["id"], "weights": self.weights}
        chip = (int(learned.standard.frames[0]), learned.size)
        return write_scene_map(source, chip, (step, resolution), tell, _MAP_BANDS, output, about)

    def score(self, data: Units, part: str = "test", *, level: float = 0.9, draws: int = 200, seed: int = 0) -> Scores:
        """Rank-weighted effects on units never seen, beside baselines that were fitted alike.

        `autoc` and `qini` are in the unit of the outcome, 0 where a priority tells nothing; each `ratio` divides one by
        its error; `calibration` is the slope of doubly robust scores on predictions (1 is right).

        Args:
            data: Units with treatment and outcome. Units whose image was fitted to are told by fits that never saw it.
            part: The part to score; all units where the study has none.
            level: Of intervals.
            draws: Half samples of images.
            seed: Of the draws.

        Raises:
            ConfigError: If an option makes no sense.
            DataError: If the units do not fit what was fitted to, or some of their images were fitted to.
        """
        _check(draws, level)
        learned = self._learned()
        units = learned.standard(with_own_images(data.of_part(part)))
        columns = self._columns(units, learned.representation)
        fold_of = reshuffled_folds(len(units.keys), self.analysis.folds, 1, seed)
        scores = held_out_scores(units, columns, fold_of)
        told = {"system": unseen_effects(learned.fits, self._seen(units), columns)} | self._rivals(units)
        found = {}
        for name, one in told.items():
            row: dict[str, Score] = {}
            for metric, rate in rates(scores, one.priority, units.image_of, draws, level, seed).items():
                estimate = rate.estimate
                row |= {
                    metric: Score(estimate.value, estimate.low, estimate.high),
                    f"{metric}_ratio": Score(rate.ratio),
                }
            slope = calibration(scores, one.priority, units.image_of, level)
            if slope is not None:
                row["calibration"] = Score(slope.value, slope.low, slope.high)
            found[name] = row
        return Scores(
            "all" if data.part is None else part,
            found.pop("system"),
            found,
            facts={
                "units": len(units),
                "images": len(units.keys),
                "images fitted to, told by fits that never saw them": int(np.isin(units.keys, learned.fits.keys).sum()),
                "intervals": f"{level:.0%}, by half samples of images",
            },
        )

    def learned(self, run: Path) -> dict[str, Any]:
        """Write weights and keys."""
        learned = self._learned()
        state = {"fold_of": torch.from_numpy(np.ascontiguousarray(learned.fits.fold_of))} | learned.standard.state()
        if learned.representation.net is not None:
            state |= {f"encoder.{k}": v for k, v in learned.representation.net.state_dict().items()}
        for number, (model, rivals) in enumerate(zip(learned.fits.models, learned.rivals, strict=True)):
            parts = model.state_dict() if isinstance(model, nn.Module) else state_of(model)
            if isinstance(model, EffectClusters):
                parts["outcome.scale"] = torch.tensor(astuple(model.scale), dtype=torch.float64)
            state |= {f"{number}.model.{name}": value for name, value in parts.items()}
            state |= {f"{number}.rivals.{name}": value for name, value in rivals.state().items()}
        save_state(state, run / _WEIGHTS)
        self.weights = sha256(run / _WEIGHTS)
        write_text(run / _KEYS, json.dumps(learned.fits.keys.tolist()))
        return {"size": learned.size}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take back weights and keys.

        Raises:
            RunError: If the run is damaged.
            WeightsError: If its weights do not fit.
        """
        state, self.weights = load_state(run / _WEIGHTS), sha256(run / _WEIGHTS)
        count = self.analysis.folds * self.analysis.reshuffles
        try:
            size = int(description["size"])
            keys = np.array(json.loads((run / _KEYS).read_text("utf-8")), dtype=str)
            standard, fold_of = Standard.of_state(state), state["fold_of"].numpy()
            rivals = [Rivals.of_state(_under(state, f"{n}.rivals.")) for n in range(count)]
            models = [self._model(standard, _under(state, f"{n}.model."), run) for n in range(count)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{run} is damaged", got=repr(error)) from error
        representation = self.analysis.representation(len(standard.centre))
        if representation.net is not None:
            load_into(representation.net, _under(state, "encoder."), name=str(run / _WEIGHTS))
        self.learned_models = _Learned(standard, representation, FoldFits(models, keys, fold_of), rivals, size)

    def _learned(self) -> _Learned:
        if self.learned_models is None:
            raise RunError("The task has learned nothing yet", fix="Fit it, or load a run")
        return self.learned_models

    def _columns(self, units: Units, representation: Representation) -> np.ndarray:
        if self.analysis.inputs != "images" and not units.covariates.shape[1]:
            raise ConfigError("There are no covariates to learn from", fix="Name `covariates`, or take `images` alone")
        return columns_of(units, self.analysis.inputs, representation)

    def _seen(self, units: Units) -> Units:
        """What learners from pixels see of units."""
        return units if self.analysis.inputs == "both" else replace(units, covariates=units.covariates[:, :0])

    def _rivals(self, units: Units) -> dict[str, Any]:
        """What baselines say of units, by fits that never saw their image."""
        learned, features = self._learned(), random_features(units.images)
        told = [rivals.predict(units.images, features) for rivals in learned.rivals]
        return {
            name: held_out(learned.fits, np.stack([one[name][units.image_of] for one in told]), units)
            for name in told[0]
        }

    def _model(self, standard: Standard, state: dict[str, Tensor], run: Path) -> Model:
        if self.analysis.learner in LEARNERS:
            return of_state(self.analysis.learner, state)
        plan = self.analysis.plan(standard)
        if self.analysis.learner == "network":
            net: ChipNet | EffectClusters = ChipNet(
                plan.encoder(), plan.width, len(standard.covariate_centre) * (self.analysis.inputs == "both")
            )
        else:
            scale = Scale(*state.pop("outcome.scale").tolist())
            net = EffectClusters(plan.encoder(), plan.width, ClusterOptions(), scale)
        load_into(net, state, name=str(run / _WEIGHTS))
        return net.eval()


def _check(draws: int, level: float) -> None:
    if draws < 2 or not 0 < level < 1:
        raise ConfigError(
            "`draws` must be two at least and `level` between 0 and 1", got=f"{draws} and {level}", expected="200, 0.9"
        )


def _under(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _of_images(images: np.ndarray, covariates: int) -> Units:
    """A unit for each image of which nothing else is known."""
    count, nowhere = len(images), np.full(len(images), np.nan)
    keys = np.array([f"cell {number}" for number in range(count)])
    names = tuple(str(number) for number in range(covariates))
    return Units(keys, images, np.arange(count), np.zeros((count, covariates)), names, nowhere, nowhere)


def _unit_table(units: Units, effect: np.ndarray, sd: np.ndarray) -> pd.DataFrame:
    table = {"unit": np.arange(len(units)), "image": units.keys[units.image_of], "lon": units.lon, "lat": units.lat}
    return pd.DataFrame({**table, "effect": effect, "effect_sd": sd})
