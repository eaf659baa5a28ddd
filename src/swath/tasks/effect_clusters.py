"""Image effect clusters of a trial: fitted over folds of images, told of images, carried to other places, scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from swath.causal.cluster_fits import ClusterTraining, Posterior, salience
from swath.causal.cluster_study import CrossFit
from swath.causal.cluster_tables import image_table, study_table, unit_scores
from swath.causal.effect_clusters import ClusterOptions, EffectClusters, Scale
from swath.causal.fitted_clusters import Fitted, Rivals, with_own_images
from swath.causal.folds import reshuffled_folds
from swath.causal.units import Units
from swath.data.sources import Source
from swath.errors import ConfigError, DataError, RunError
from swath.files import write_text
from swath.geo.stac import sha256
from swath.metrics.bootstrap import percentile_interval
from swath.tasks.effect_products import write_image_table, write_scene_map
from swath.tasks.run import Run
from swath.tasks.scores import Score, Scores
from swath.tasks.study_task import StudyTask
from swath.tasks.weights import load_into, load_state, save_state

#: Files of a run beside those of every run.
_WEIGHTS, _KEYS = "weights.safetensors", "keys.json"
_STUDY, _IMAGES, _PICTURE = "study.json", "images.csv", "study.png"


class EffectClustering(StudyTask):
    """Fit image effect clusters to a randomised trial.

    Args:
        options: Of the model.
        training: How each fit is trained.
        encoder: Makes the image encoder for a number of frames and bands.
        width: Number of its features.
        folds: Of images.
        reshuffles: How often images are divided anew.
        orthogonalise: Whether covariates are taken out of the outcome first.
    """

    kind: ClassVar[str] = "effect clusters"

    def __init__(
        self,
        options: ClusterOptions,
        training: ClusterTraining,
        encoder: Callable[[int, int], nn.Module],
        width: int,
        folds: int = 3,
        reshuffles: int = 2,
        orthogonalise: bool = False,
    ) -> None:
        if folds < 2 or reshuffles < 1:
            raise ConfigError("There must be two folds and one reshuffle", got=f"{folds} and {reshuffles}")
        self.options, self.training = options, training
        self.encoder, self.width = encoder, width
        self.folds, self.reshuffles, self.orthogonalise = folds, reshuffles, orthogonalise
        self.fitted: Fitted | None = None
        self.net, self.bands = None, {}

    def fit(self, data: Units, run: Path, *, seed: int = 0, draws: int = 50, level: float = 0.9) -> Run:
        """Fit to the rest of each fold of images, and tell of each image by the fits that never saw it.

        The run holds `images.csv`, a row for each image, `study.json`: average effect, clusters, their effects by the
        model and on units that no fit saw, and the calibration of predicted effects, and all that as `study.png`.

        Args:
            data: Units with treatment and outcome; those of part `train` where the study has parts.
            run: The folder.
            seed: Of folds and fits.
            draws: Of the posterior, of each fit.
            level: Of intervals.

        Raises:
            ConfigError: If an option makes no sense.
            DataError: If the units cannot be used.
        """
        _check(draws, level)
        units = with_own_images(data.of_part("train"))
        fold_of = reshuffled_folds(len(units.keys), self.folds, self.reshuffles, seed)
        self.frames, bands, height, width = units.images.shape[1:]
        if height != width:
            raise DataError("Images are not square", got=f"{height} x {width}")
        self.size = height
        self.fitted = Fitted.learned(
            units,
            lambda: self.encoder(self.frames, bands),
            self.width,
            fold_of,
            self.options,
            self.training,
            self.orthogonalise,
            seed,
        )
        prepared = self.fitted.prepared(units)
        posterior = self.fitted.fits.posterior(units.keys, prepared.images, draws, seed)
        self.save(run)
        table = image_table(posterior, units.keys, self.reshuffles)
        write_text(run / _IMAGES, table.to_csv(index=False))
        write_text(run / _STUDY, json.dumps(study_table(prepared, posterior, level), indent=1))
        self._draw(run / _PICTURE, units, prepared, posterior)
        return Run(run)

    def predict(
        self,
        source: Units | Sequence[Source],
        output: Path,
        *,
        draws: int = 50,
        seed: int = 0,
        step: int | None = None,
        resolution: float | None = None,
    ) -> list[Path]:
        """Carry effects to places: a table of the images of units, or a map of a scene.

        Args:
            source: Units, of which neither treatment nor outcome is read, or a scene for each frame. Images that were
                fitted to are told by the fits that never saw them.
            output: A table of images (`.csv`, or `.gpkg`, `.parquet`, `.geojson` with their places), or a map
                (`.tif`) with bands `effect`, `effect_sd`, `p1`, `p1_sd`, ..., NaN where too few pixels are valid.
            draws: Of the posterior, of each fit.
            seed: Of the draws.
            step: Edge of a cell of the map, in pixels of a chip; None takes a whole chip.
            resolution: Edge of a pixel of a chip in metres, as the study's chips had; None takes the scene's own.

        Returns:
            The path, and that of the STAC item of a map.

        Raises:
            ConfigError: If the source cannot become such a product.
            DataError: If it does not fit what was fitted to.
        """
        _check(draws)
        output, fitted = Path(output), self._learned()
        if isinstance(source, Units):
            units = with_own_images(source)
            posterior = fitted.fits.posterior(units.keys, fitted.prepared(units).images, draws, seed)
            return write_image_table(image_table(posterior, units.keys), units, output)

        def told(images: np.ndarray) -> pd.DataFrame:
            nowhere = np.full(len(images), "")
            return image_table(fitted.fits.posterior(nowhere, fitted.standard(images), draws, seed), nowhere)

        about = {"system": self.system["id"], "weights": self.weights, "draws": draws, "seed": seed}
        chip, cells = (self.frames, self.size), (step, resolution)
        return write_scene_map(source, chip, cells, told, _map_bands(fitted), output, about)

    def score(
        self,
        data: Units,
        part: str = "test",
        *,
        draws: int = 50,
        level: float = 0.9,
        resamples: int = 1000,
        seed: int = 0,
    ) -> Scores:
        """Score predicted effects against doubly robust scores of units, beside baselines that were fitted alike.

        `gain` is the share of the squared distance to the scores that predictions take away from a constant effect;
        `calibration` the slope of scores on predictions (1 is right, 0 tells nothing); `average_effect_error` the
        mean prediction less the mean score.

        Args:
            data: Units with treatment and outcome. Images that were fitted to are told by fits that never saw them.
            part: The part to score; all units where the study has none.
            draws: Of the posterior, of each fit.
            level: Of the intervals.
            resamples: Draws of images with all of their units.
            seed: Of the draws.

        Raises:
            ConfigError: If an option makes no sense.
            DataError: If the units do not fit what was fitted to, or some of their images were fitted to.
        """
        _check(draws, level)
        fitted = self._learned()
        units = with_own_images(data.of_part(part))
        prepared = fitted.prepared(units)
        posterior = fitted.fits.posterior(units.keys, prepared.images, draws, seed)
        told = {"system": posterior.effect.mean(axis=0)} | fitted.baselines(units.keys, prepared.images)
        base, constant = posterior.base.mean(axis=0), told["constant effect"]
        scores = unit_scores(prepared, base[units.image_of], (base + constant)[units.image_of])
        found = {}
        for name, effect in told.items():
            sums = _sums(scores, effect[units.image_of], constant[units.image_of], units.image_of)
            intervals = percentile_interval(sums, _summary, level=level, resamples=resamples, seed=seed)
            found[name] = {k: Score(v, *intervals[k]) for k, v in _summary(sums.sum(axis=0)).items() if np.isfinite(v)}
        known = np.isin(units.keys, fitted.fits.keys)
        return Scores(
            "all" if data.part is None else part,
            found.pop("system"),
            found,
            facts={
                "units": len(units),
                "images": len(units.keys),
                "images fitted to, told by fits that never saw them": int(known.sum()),
                "intervals": f"{level:.0%}, drawn by images",
            },
        )

    def learned(self, run: Path) -> dict[str, Any]:
        """Write weights and keys."""
        fitted = self._learned()
        state = {"centre": fitted.centre, "spread": fitted.spread, "fold_of": fitted.fits.fold_of}
        if fitted.slopes is not None:
            state["slopes"] = fitted.slopes
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in state.items()}
        for number, (model, rivals) in enumerate(zip(fitted.fits.models, fitted.rivals, strict=True)):
            scale = torch.tensor(astuple(model.scale), dtype=torch.float64)
            parts = {"model": model.state_dict(), "rivals": rivals.state(), "outcome": {"scale": scale}}
            tensors |= {f"{number}.{part}.{name}": v for part, state in parts.items() for name, v in state.items()}
        save_state(tensors, run / _WEIGHTS)
        self.weights = sha256(run / _WEIGHTS)
        write_text(run / _KEYS, json.dumps(fitted.fits.keys.tolist()))
        return {"frames": self.frames, "size": self.size}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take back weights and keys.

        Raises:
            RunError: If the run is damaged.
            WeightsError: If its weights do not fit.
        """
        state, self.weights = load_state(run / _WEIGHTS), sha256(run / _WEIGHTS)
        try:
            self.frames, self.size = int(description["frames"]), int(description["size"])
            keys = np.array(json.loads((run / _KEYS).read_text("utf-8")), dtype=str)
            centre, spread, fold_of = (state[name].numpy() for name in ("centre", "spread", "fold_of"))
            parts = [_parts(state, number) for number in range(self.folds * self.reshuffles)]
            scales = [Scale(*part["outcome"]["scale"].tolist()) for part in parts]
            rivals = [Rivals.of_state(part["rivals"]) for part in parts]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{run} is damaged", got=repr(error)) from error
        models = []
        for part, scale in zip(parts, scales, strict=True):
            model = EffectClusters(self.encoder(self.frames, len(centre)), self.width, self.options, scale)
            load_into(model, part["model"], name=str(run / _WEIGHTS))
            models.append(model.eval())
        slopes = state["slopes"].numpy() if "slopes" in state else None
        self.fitted = Fitted(CrossFit(models, keys, fold_of), rivals, centre, spread, slopes)

    def _learned(self) -> Fitted:
        if self.fitted is None:
            raise RunError("The task has learned nothing yet", fix="Fit it, or load a run")
        return self.fitted

    def _draw(self, path: Path, units: Units, prepared: Units, posterior: Posterior) -> None:
        """Draw the study; salience is that of the first fit."""
        from swath.tasks.effect_picture import draw_study, surest_images

        base, effect = posterior.base.mean(axis=0), posterior.effect.mean(axis=0)
        scores = unit_scores(prepared, base[units.image_of], (base + effect)[units.image_of])
        shown = surest_images(posterior)
        gradient = salience(self._learned().fits.models[0], prepared.images[shown])
        draw_study(path, units, posterior, scores, gradient, shown)


def _check(draws: int, level: float = 0.5) -> None:
    if draws < 1 or not 0 < level < 1:
        raise ConfigError(
            "`draws` must be positive and `level` between 0 and 1", got=f"{draws} and {level}", expected="50 and 0.9"
        )


def _map_bands(fitted: Fitted) -> list[str]:
    options = fitted.fits.models[0].options
    count = 1 if options.variant == "tarnet" else options.clusters
    return ["effect", "effect_sd", *(f"p{k + 1}{end}" for k in range(count) for end in ("", "_sd"))]


def _parts(state: Mapping[str, Tensor], number: int) -> dict[str, dict[str, Tensor]]:
    """Tensors of a fit, by the part they belong to."""
    found: dict[str, dict[str, Tensor]] = {"model": {}, "rivals": {}, "outcome": {}}
    for name, tensor in state.items():
        fit, _, rest = name.partition(".")
        part, _, rest = rest.partition(".")
        if fit == str(number) and part in found:
            found[part][rest] = tensor
    return found


def _sums(scores: np.ndarray, effect: np.ndarray, constant: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Of each image, what `_summary` needs, `[images, 8]`."""
    away = effect - constant  # that averages differ between folds is no heterogeneity
    terms = np.stack(
        [
            np.ones_like(scores), scores, away, scores * away, away**2, effect, (scores - effect) ** 2,
            (scores - constant) ** 2,
        ], axis=1,
    )  # fmt: skip
    sums = np.zeros((groups.max() + 1, terms.shape[1]))
    np.add.at(sums, groups, terms)
    return sums


def _summary(sums: np.ndarray) -> dict[str, float]:
    count, score, away, both, squared, effect, wrong, constant_wrong = (float(v) for v in sums)
    spread = squared - away**2 / count
    told = spread > 1e-9 * max(effect**2 / count, 1e-12)
    return {
        "gain": 1 - wrong / constant_wrong,
        "calibration": (both - score * away / count) / spread if told else float("nan"),
        "average_effect_error": (effect - score) / count,
    }
