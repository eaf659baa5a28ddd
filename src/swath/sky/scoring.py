"""How a catalogue stands against the truth, beside photometry of the plainest kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from swath.metrics.bootstrap import percentile_interval
from swath.sky.detection import detect, stack
from swath.sky.measure import Settings
from swath.sky.mosaics import Mosaic
from swath.sky.photometry import aperture
from swath.sky.spread import fwhm
from swath.tasks.scores import Score, Scores

#: Within how many arcsec a detection is a source of the truth.
_MATCH = 0.4
#: Diameter of the baseline's apertures, arcsec.
_FIXED = 1.0
BASELINE = f"VIS alone, fixed {_FIXED:g} arcsec"


def significance(truth: pd.DataFrame, mosaic: Mosaic) -> np.ndarray:
    """Signal to noise of true sources in the circle that holds about half their light.

    Args:
        truth: With `flux_<band>` in microjansky and, for galaxies, `radius` (R_e, arcsec) and `ratio` of the axes.
        mosaic: The band.
    """
    half = np.full(len(truth), (fwhm(mosaic.psf_at(0, 0)) / 2) ** 2)
    if {"radius", "ratio"} <= set(truth):
        half += np.nan_to_num(truth["radius"] ** 2 * truth["ratio"]) / mosaic.scale**2
    noise = np.median(mosaic.rms[~mosaic.bad]) * np.sqrt(np.pi * half)
    return np.asarray(0.5 * truth[f"flux_{mosaic.band}"] / noise)


def score_catalogue(
    catalogue: pd.DataFrame, truth: pd.DataFrame, mosaics: Sequence[Mosaic], settings: Settings, part: str = "test"
) -> Scores:
    """Completeness, false sources, and errors of fluxes and colours, with bootstrap intervals over sources.

    Args:
        catalogue: With positions `x`, `y` in pixels from zero and the published columns.
        truth: With `ra`, `dec`, and `flux_<band>` in microjansky.
        mosaics: Background subtracted, on one grid, the sharp one first.
        settings: What the catalogue was made with.
        part: Name of the part.
    """
    vis = mosaics[0]
    x, y = vis.wcs.celestial.wcs_world2pix(truth["ra"].to_numpy(), truth["dec"].to_numpy(), 0)
    height, width = vis.values.shape
    inside = (x > 2) & (y > 2) & (x < width - 3) & (y < height - 3)
    bright = inside & (significance(truth, vis) >= 10)
    infrared = [m for m in mosaics if m.band in settings.nir and f"flux_{m.band}" in truth]
    hidden = np.zeros(len(truth), bool)
    if infrared:
        joined = stack(infrared)
        weights = [np.median(1 / m.rms.astype(float) ** 2) for m in infrared]
        flux = np.average([truth[f"flux_{m.band}"] for m in infrared], axis=0, weights=weights)
        seen = significance(truth.assign(**{f"flux_{joined.band}": flux}), joined)
        hidden = inside & (significance(truth, vis) < 3) & (seen >= 10)
    at = np.stack([x, y], 1)
    selected = _Selection(bright, hidden, {m.band: significance(truth, m) >= 5 for m in mosaics[1:]})
    own = _one(catalogue, catalogue["VIS_DET"].to_numpy() == 1, _colours(catalogue, mosaics), truth, at, vis, selected)
    plain = _plain(mosaics)
    fixed = _one(plain, np.ones(len(plain), bool), {"colour_error": plain}, truth, at, vis, selected)
    facts = {
        "sources": len(catalogue),
        "true_sources_at_signal_to_noise_10": int(bright.sum()),
        "true_sources_of_the_near_infrared_alone": int(hidden.sum()),
        "unit_of_the_bootstrap": "source",
        "level": 0.95,
        "baseline": "detection on VIS alone, apertures of one size on all bands as they are, no PSF matching",
        "colour_error": "mean |VIS - band| from the truth over bands with signal to noise 5, at most 1, magnitudes",
    }
    return Scores(part, own, {BASELINE: fixed}, facts=facts)


class _Selection(NamedTuple):
    """Which true sources VIS shows, which only the infrared shows, and which each band shows."""

    bright: np.ndarray
    hidden: np.ndarray
    seen: Mapping[str, np.ndarray]


def _one(
    found: pd.DataFrame,
    of_vis: np.ndarray,
    colours: Mapping[str, pd.DataFrame],
    truth: pd.DataFrame,
    at: np.ndarray,
    vis: Mosaic,
    selected: _Selection,
) -> dict[str, Score]:
    """The scores of one list of sources."""
    bright, hidden, seen = selected
    limit = _MATCH / vis.scale
    places = found[["x", "y"]].to_numpy()
    to_found, nearest = cKDTree(places).query(at)
    to_truth, which = cKDTree(at).query(places)
    scores = {
        "completeness": _mean((to_found < limit)[bright]),
        # a source of the near infrared has the accuracy of its pictures
        "false_rate": _mean(to_truth > np.where(of_vis, limit, 2 * limit)),
    }
    if hidden.any():
        scores["near_infrared_alone"] = _mean((to_found < 2 * limit)[hidden])
    matched = np.flatnonzero(bright & (to_found < limit) & of_vis[nearest] & (which[nearest] == np.arange(len(at))))
    rows = nearest[matched]
    for name, table in colours.items():
        errors = []
        for band in table.columns.drop(["x", "y"], errors="ignore"):
            true = truth[f"flux_{band}"].to_numpy()[matched] / truth[f"flux_{vis.band}"].to_numpy()[matched]
            ratio = table[band].to_numpy()[rows] / true
            error = np.abs(2.5 * np.log10(np.clip(np.nan_to_num(ratio, nan=10.0), 0.1, 10)))
            errors.append(np.where(seen[band][matched], np.minimum(error, 1), np.nan))
        if errors:
            known = ~np.isnan(errors).all(axis=0)
            scores[name] = _mean(np.nanmean(np.array(errors)[:, known], axis=0))
    if "FLUX_DETECTION_TOTAL" in found:
        total = found["FLUX_DETECTION_TOTAL"].to_numpy()[rows] / truth[f"flux_{vis.band}"].to_numpy()[matched]
        scores["total_flux_error"] = _mean(np.minimum(np.abs(total - 1), 1))
    return scores


def _colours(catalogue: pd.DataFrame, mosaics: Sequence[Mosaic]) -> dict[str, pd.DataFrame]:
    """Ratio of each band to VIS, by templates and by matched apertures of one full width."""
    vis, *others = [m.band for m in mosaics]
    ways = {
        "colour_error": ("FLUX_{}_TEMPLFIT", "FLUX_{vis}_TO_{}_TEMPLFIT"),
        "colour_error_apertures": ("FLUX_{}_1FWHM_APER", "FLUX_{vis}_1FWHM_APER"),
    }
    return {
        name: pd.DataFrame(
            {band: catalogue[up.format(band)] / catalogue[down.format(band, vis=vis)] for band in others}
        )
        for name, (up, down) in ways.items()
    }


def _plain(mosaics: Sequence[Mosaic]) -> pd.DataFrame:
    """What one would do first: detect on VIS, and sum each band as it is in the same circle."""
    vis, *others = mosaics
    table = detect(vis).sources[["x", "y"]]
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    fluxes = {m.band: aperture(m, x, y, _FIXED / m.scale).flux for m in mosaics}
    with np.errstate(divide="ignore", invalid="ignore"):
        return table.assign(**{m.band: fluxes[m.band] / fluxes[vis.band] for m in others})


def _mean(values: np.ndarray) -> Score:
    if not len(values):
        return Score(float("nan"))
    units = np.stack([values.astype(float), np.ones(len(values))], 1)
    low, high = percentile_interval(units, lambda total: {"mean": float(total[0] / total[1])})["mean"]
    return Score(float(values.mean()), low, high)
