"""From the mosaics of a piece of sky to its sources with all that is measured of them.

Steps and names follow the MER processing function of Euclid (Euclid Collaboration: Romelli et al. 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from swath.errors import ConfigError, DataError
from swath.geo.windows import Window
from swath.sky import shapes
from swath.sky.detection import Detection, detect, merge, stack
from swath.sky.mosaics import Mosaic
from swath.sky.photometry import (
    BLENDED,
    NEAR_STAR,
    Fluxes,
    centred,
    correlation_factor,
    isophotal,
    kron,
    matched_apertures,
)
from swath.sky.sersic import Sersic, draw, fit_profiles
from swath.sky.spread import convolved, fwhm, matching_kernel, point
from swath.sky.templates import Template, TemplateFit, blurred, cut_out, fit_templates, fit_twice


@dataclass(frozen=True)
class Settings:
    """How a catalogue is made.

    Attributes:
        vis: The sharp band that sources are found on first.
        nir: Bands whose mean finds those that the sharp one does not show; those that are absent are passed over.
        threshold: Of a pixel of the filtered picture, in units of its noise there.
        minimum_area: Of a source, pixels.
        deblend_levels: Of the deblending tree.
        deblend_contrast: Least share of the light of a blend.
        apertures: Diameters, in full widths of the worst point spread.
        grow: By how many pixels templates reach out.
        background: Whether template fits have a constant beneath each group of sources.
        profile_significance: Least signal to noise at which a Sersic profile is fitted.
        morphology_significance: Least signal to noise at which morphology is measured.
    """

    vis: str = "VIS"
    nir: tuple[str, ...] = ("Y", "J", "H")
    threshold: float = 4.0
    minimum_area: int = 3
    deblend_levels: int = 32
    deblend_contrast: float = 0.001
    apertures: tuple[int, ...] = (1, 2, 3, 4)
    grow: int = 3
    background: bool = False
    profile_significance: float = 10.0
    morphology_significance: float = 30.0

    def __post_init__(self) -> None:
        if not (self.threshold > 0 and self.minimum_area >= 1 and 0 <= self.deblend_contrast <= 1 and self.apertures):
            raise ConfigError(
                "A setting of the catalogue is out of its range",
                got=f"threshold {self.threshold}, minimum area {self.minimum_area}, contrast {self.deblend_contrast}",
                expected="threshold > 0, minimum area >= 1, contrast 0..1, at least one aperture",
            )


def find(mosaics: Sequence[Mosaic], settings: Settings) -> Detection:
    """Sources of the sharp band, and behind them those of the near infrared alone.

    Raises:
        DataError: If the sharp band is absent.
    """
    by_band = {m.band: m for m in mosaics}
    if settings.vis not in by_band:
        raise DataError("The band of detection is absent", got=", ".join(by_band), expected=settings.vis)
    options = {
        "threshold": settings.threshold,
        "minimum_area": settings.minimum_area,
        "deblend_levels": settings.deblend_levels,
        "deblend_contrast": settings.deblend_contrast,
    }
    vis = detect(by_band[settings.vis], **options)  # type: ignore[arg-type]
    infrared = [by_band[band] for band in settings.nir if band in by_band]
    if not infrared:
        return replace(vis, sources=vis.sources.assign(vis=True))
    joined = stack(infrared)
    return merge(vis, detect(joined, **options), fwhm(joined.psf) / 2)  # type: ignore[arg-type]


def measure(
    mosaics: Sequence[Mosaic], settings: Settings, core: Window | None = None, stars: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Find the sources of a piece of sky and measure them.

    Args:
        mosaics: Bands on one grid, background subtracted.
        settings: How.
        core: Sources outside of it are found and fitted beside the others, but not returned.
        stars: Bright stars with `ra`, `dec` (degrees), `mag`; sources near them are flagged.

    Returns:
        Sources with the published names of columns and `x`, `y` in pixels, and the segments: the place of each
        source's row plus one.
    """
    by_band = {m.band: m for m in mosaics}
    found = find(mosaics, settings)
    sources, segments = found.sources, found.segments
    vis = by_band[settings.vis]
    middle = tuple(n / 2 for n in vis.values.shape)
    spreads = {band: m.psf_at(*middle) for band, m in by_band.items()}
    inside = np.ones(len(sources), bool) if core is None else _inside(sources, core)
    x, y = sources["x"].to_numpy(), sources["y"].to_numpy()

    totals, area = _totals(mosaics, found, settings)
    significance = totals["FLUX_DETECTION_TOTAL"] / totals["FLUXERR_DETECTION_TOTAL"]
    columns: dict[str, np.ndarray] = dict(totals)
    apertures, worst = matched_apertures(mosaics, x, y, settings.apertures)
    for band, fluxes in apertures.items():
        for n, flux in zip(settings.apertures, fluxes, strict=True):
            _put(columns, f"{band}_{n}FWHM_APER", flux)
        columns[f"FLAG_{band}"] = fluxes[min(1, len(fluxes) - 1)].flag
    points = [Template(*point(spreads[settings.vis], *at)) for at in zip(*centred(vis, x, y), strict=True)]
    _put(columns, f"{settings.vis}_PSF", fit_templates(points, vis))
    columns |= _template_fluxes(by_band, spreads, found, settings)
    profiles = np.flatnonzero(inside & sources["vis"] & (significance > settings.profile_significance))
    columns |= _profile_fluxes(by_band, spreads, found, settings, profiles)

    table = pd.DataFrame(columns)
    table.insert(0, "VIS_DET", sources["vis"].astype(np.int16))
    seen = np.flatnonzero(inside & sources["vis"] & (significance > settings.morphology_significance))
    table = pd.concat(
        [
            sources[["x", "y"]],
            table,
            _shape_columns(vis, sources, area),
            shapes.morphology(vis, sources, segments, seen, spreads[settings.vis]),
        ],
        axis=1,
    )
    likely = shapes.point_like(vis, sources, spreads[settings.vis])
    table["POINT_LIKE_PROB"] = np.where(sources["vis"], likely, np.nan)
    table["SPURIOUS_PROB"] = _spurious(mosaics, found, settings, totals)
    table["SPURIOUS_FLAG"] = (table["SPURIOUS_PROB"] > 0.5).astype(np.int16)
    common = np.where(sources["flag"] & 1, BLENDED, 0) | _near_stars(vis, x, y, stars)
    for band in by_band:
        table[f"FLAG_{band}"] = (table[f"FLAG_{band}"] | common).astype(np.int16)
    table["DET_QUALITY_FLAG"] = table[f"FLAG_{settings.vis}"]
    table["APER_FWHM"] = worst * vis.scale
    number = np.zeros(len(sources) + 1, np.int32)
    number[1:][inside] = np.arange(1, inside.sum() + 1)
    return table[inside].reset_index(drop=True), number[segments]


def _totals(
    mosaics: Sequence[Mosaic], found: Detection, settings: Settings
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Kron and isophotal fluxes on the picture that each source was found on, and the pixels of each."""
    vis = found.sources["vis"].to_numpy()
    count = len(found.sources)
    pictures = [m for m in mosaics if m.band == settings.vis]
    infrared = [m for m in mosaics if m.band in settings.nir]
    pictures.append(stack(infrared) if infrared else pictures[0])
    columns: dict[str, np.ndarray] = {}
    (auto, radius), (auto_nir, radius_nir) = (kron(m, found.sources, found.segments) for m in pictures)
    outlined, outlined_nir = (isophotal(m, found.segments, count) for m in pictures)
    for name, flux, other in (("DETECTION_TOTAL", auto, auto_nir), ("SEGMENTATION", outlined, outlined_nir)):
        columns[f"FLUX_{name}"] = np.where(vis, flux.flux, other.flux)
        columns[f"FLUXERR_{name}"] = np.where(vis, flux.error, other.error)
    columns["KRON_RADIUS"] = np.where(vis, radius, radius_nir)
    return columns, np.bincount(found.segments.ravel(), minlength=count + 1)[1:]


def _template_fluxes(
    by_band: dict[str, Mosaic], spreads: dict[str, np.ndarray], found: Detection, settings: Settings
) -> dict[str, np.ndarray]:
    """FLUX_<band>_TEMPLFIT, and FLUX_VIS_TO_<band>_TEMPLFIT: the same templates on VIS blurred to the band."""
    vis, count = by_band[settings.vis], len(found.sources)
    seen = found.sources["vis"].to_numpy()
    cut = cut_out(vis.values, np.where(np.append(False, seen)[found.segments], found.segments, 0), count, settings.grow)
    at = found.sources[["x", "y"]].to_numpy()
    columns: dict[str, np.ndarray] = {}
    for band, mosaic in by_band.items():
        if band == settings.vis:
            continue
        kernel = _kernel(spreads[settings.vis], spreads[band])
        templates = [
            blurred(t, kernel) if t is not None else Template(*point(spreads[band], *at[i])) for i, t in enumerate(cut)
        ]
        fit = fit_twice(templates, mosaic, background=settings.background)
        _put(columns, f"{band}_TEMPLFIT", fit)
        columns[f"COVARIANCE_{band}_TEMPLFIT"] = fit.covariance
        as_blurred = replace(vis, values=convolved(vis.values, kernel).astype(np.float32))
        reference = fit_templates(templates, as_blurred, background=settings.background)
        factor = correlation_factor(kernel, 2 * fwhm(spreads[band]))
        columns[f"FLUX_{settings.vis}_TO_{band}_TEMPLFIT"] = reference.flux
        columns[f"FLUXERR_{settings.vis}_TO_{band}_TEMPLFIT"] = reference.error * factor
    return columns


def _profile_fluxes(
    by_band: dict[str, Mosaic],
    spreads: dict[str, np.ndarray],
    found: Detection,
    settings: Settings,
    which: np.ndarray,
) -> dict[str, np.ndarray]:
    """FLUX_<band>_SERSIC: profiles fitted to VIS, drawn as each band sees them, fitted together with all others."""
    sources, count = found.sources, len(found.sources)
    vis = by_band[settings.vis]
    fitted = dict(zip(which, fit_profiles(vis, sources, found.segments, which, spreads[settings.vis]), strict=True))
    names = ("RADIUS", "INDEX", "AXIS_RATIO")
    columns = {f"SERSIC_SERSIC_VIS_{name}{end}": np.full(count, np.nan) for name in names for end in ("", "_ERR")}
    columns |= {"SERSIC_ANGLE": np.full(count, np.nan), "SERSIC_ANGLE_ERR": np.full(count, np.nan)}
    for i, result in fitted.items():
        if result is None:
            continue
        profile, error = result
        columns["SERSIC_ANGLE"][i] = _position_angle(vis, profile.x, profile.y, profile.angle)
        columns["SERSIC_ANGLE_ERR"][i] = np.degrees(error[5])
        values = (profile.radius * vis.scale, profile.n, profile.ratio)
        for name, value, sigma in zip(names, values, (error[2] * vis.scale, error[3], error[4]), strict=True):
            columns[f"SERSIC_SERSIC_VIS_{name}"][i] = value
            columns[f"SERSIC_SERSIC_VIS_{name}_ERR"][i] = sigma
    at = sources[["x", "y"]].to_numpy()
    for band, mosaic in by_band.items():
        templates = []
        for i in range(count):
            result = fitted.get(i)
            drawn = _drawn(result[0], spreads[band]) if result is not None else Template(*point(spreads[band], *at[i]))
            templates.append(drawn)
        fit = fit_templates(templates, mosaic)
        has = np.array([fitted.get(i) is not None for i in range(count)], bool)
        columns[f"FLUX_{band}_SERSIC"] = np.where(has, fit.flux, np.nan)
        columns[f"FLUXERR_{band}_SERSIC"] = np.where(has, fit.error, np.nan)
    return columns


def _drawn(profile: Sersic, psf: np.ndarray) -> Template:
    """A profile on a stamp that holds 5 R_e and the point spread."""
    half = int(np.clip(5 * profile.radius, 5, 100)) + psf.shape[0] // 2
    row, col = round(profile.y) - half, round(profile.x) - half
    return Template(draw(profile, psf, row, col, (2 * half + 1, 2 * half + 1)), row, col)


def _kernel(sharp: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """From one point spread to another; nothing where the other is no wider."""
    if fwhm(wide) > fwhm(sharp):
        return matching_kernel(sharp, wide)
    nothing = np.zeros((3, 3))
    nothing[1, 1] = 1
    return nothing


def _shape_columns(vis: Mosaic, sources: pd.DataFrame, area: np.ndarray) -> pd.DataFrame:
    a, b = sources["a"], sources["b"]
    x, y = sources["x"].to_numpy(), sources["y"].to_numpy()
    width = 2 * np.sqrt(np.log(2) * (a**2 + b**2)) * vis.scale
    peak = sources["peak"] / vis.scale**2
    with np.errstate(divide="ignore", invalid="ignore"):
        surface = np.where(peak > 0, 23.9 - 2.5 * np.log10(peak), np.nan)
    return pd.DataFrame(
        {
            "SEGMENTATION_AREA": area,
            "SEMIMAJOR_AXIS": a,
            "ELLIPTICITY": 1 - b / a,
            "POSITION_ANGLE": _position_angle(vis, x, y, sources["theta"].to_numpy()),
            "FWHM": width,
            "MU_MAX": surface,
        }
    )


def _position_angle(vis: Mosaic, x: np.ndarray | float, y: np.ndarray | float, theta: np.ndarray | float) -> np.ndarray:
    """Angles from the columns toward the rows as position angles from north through east, degrees, -90..90."""
    ra, dec = vis.wcs.celestial.wcs_pix2world(x, y, 0)
    ra2, dec2 = vis.wcs.celestial.wcs_pix2world(x + np.cos(theta), y + np.sin(theta), 0)
    east = ((ra2 - ra + 180) % 360 - 180) * np.cos(np.radians(dec))
    return np.asarray((np.degrees(np.arctan2(east, dec2 - dec)) + 90) % 180 - 90)


def _spurious(
    mosaics: Sequence[Mosaic], found: Detection, settings: Settings, totals: dict[str, np.ndarray]
) -> np.ndarray:
    """How likely each source is noise, by what the same detection finds in the turned pictures."""
    turned = [replace(m, values=-m.values) for m in mosaics]
    noise = find(turned, settings)
    of_noise, _ = _totals(turned, noise, settings)
    probability = np.zeros(len(found.sources))
    for vis in (True, False):
        at, at_noise = found.sources["vis"].to_numpy() == vis, noise.sources["vis"].to_numpy() == vis
        s, n = (t["FLUX_SEGMENTATION"] / t["FLUXERR_SEGMENTATION"] for t in (totals, of_noise))
        probability[at] = shapes.spurious(s[at], n[at_noise])
    return probability


def _near_stars(vis: Mosaic, x: np.ndarray, y: np.ndarray, stars: pd.DataFrame | None) -> np.ndarray:
    """The flag of sources within one arcsec times 10^(0.2 (18 - mag)) of a star; the radius is ours."""
    flag = np.zeros(len(x), int)
    if stars is None:
        return flag
    col, row = vis.wcs.celestial.wcs_world2pix(stars["ra"].to_numpy(), stars["dec"].to_numpy(), 0)
    reach = 10 ** (0.2 * (18 - stars["mag"].to_numpy())) / vis.scale
    for c, r, limit in zip(col, row, np.maximum(reach, 1 / vis.scale), strict=True):
        flag[np.hypot(x - c, y - r) < limit] = NEAR_STAR
    return flag


def _inside(sources: pd.DataFrame, core: Window) -> np.ndarray:
    row, col = np.floor(sources["y"] + 0.5), np.floor(sources["x"] + 0.5)
    rows = (row >= core.row) & (row < core.row_stop)
    return np.asarray(rows & (col >= core.col) & (col < core.col_stop))


def _put(columns: dict[str, np.ndarray], name: str, found: Fluxes | TemplateFit) -> None:
    columns[f"FLUX_{name}"], columns[f"FLUXERR_{name}"] = found.flux, found.error
