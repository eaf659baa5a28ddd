"""A sky whose every galaxy and star is known, seen by telescopes of different sharpness, pixels and depth.

Convention: positions are right ascension and declination in degrees (ICRS); pixels are counted as in FITS minus one,
so `(0, 0)` is the middle of the first pixel; the projection is gnomonic (TAN, Calabretta and Greisen 2002) with north
up and east to the left. Fluxes are in microjansky, magnitudes AB: m = 23.9 - 2.5 log10(flux).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import fft

from swath.errors import ConfigError, UnknownNameError
from swath.simulate import noise
from swath.simulate.galaxies import CUT, black_body, galaxy_spectrum, stamp


@dataclass(frozen=True)
class Filter:
    """What a telescope sees through.

    Attributes:
        wavelength: Centre, nm.
        width: Full width of its box-shaped transmission, nm.
        fwhm: Of the point spread, arcsec.
        depth: AB magnitude of a point source that is measured at 5 sigma by weighting with the point spread.
    """

    wavelength: float
    width: float
    fwhm: float
    depth: float


@dataclass(frozen=True)
class Telescope:
    """A telescope with its camera.

    Attributes:
        name: For example `euclid_vis`.
        filters: Its filters by name.
        pixel: arcsec.
        beta: Of the Moffat function of its point spread.
        zero_point: AB magnitude of one count.
        gain: Electrons per count; infinite for no photon noise.
    """

    name: str
    filters: Mapping[str, Filter]
    pixel: float
    beta: float = 4.765
    zero_point: float = 25.0
    gain: float = 300.0


#: Telescopes; sharpness, pixels and depth are near those published for Euclid (Mellier et al. 2025) and the Dark Energy
#: Survey (Abbott et al. 2021), point spreads and gains are ours.
TELESCOPES = {
    t.name: t
    for t in (
        Telescope("euclid_vis", {"VIS": Filter(715, 360, 0.16, 26.2)}, 0.1),
        Telescope(
            "euclid_nisp",
            {
                "Y": Filter(1081, 263, 0.48, 24.5), "J": Filter(1368, 399, 0.51, 24.5),
                "H": Filter(1772, 500, 0.55, 24.5),
            },
            0.3,
        ),
        Telescope(
            "decam",
            {
                "g": Filter(473, 150, 1.11, 25.0), "r": Filter(642, 148, 0.95, 24.7), "i": Filter(784, 147, 0.88, 24.2),
                "z": Filter(926, 147, 0.83, 23.5),
            },
            0.263,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class SkyConfig:
    """What makes a field of the sky.

    Attributes:
        seed: Everything random follows from it.
        ra: Right ascension of its middle, degrees.
        dec: Declination of its middle, degrees.
        width: Its side, arcsec.
        galaxies: Per square arcminute, down to `faintest`.
        stars: Per square arcminute, down to `faintest`.
        brightest: AB magnitude at 715 nm of the brightest source.
        faintest: AB magnitude at 715 nm of the faintest source.
    """

    seed: int = 0
    ra: float = 150.0
    dec: float = 2.2
    width: float = 90.0
    galaxies: float = 60.0
    stars: float = 4.0
    brightest: float = 18.0
    faintest: float = 26.0

    def __post_init__(self) -> None:
        numbers = [getattr(self, name) for name in self.__dataclass_fields__]
        if not np.isfinite(numbers).all() or not (
            0 <= self.ra < 360 and -90 <= self.dec <= 90 and 5 <= self.width <= 3600
            and 0 <= self.galaxies <= 1000 and 0 <= self.stars <= 1000 and self.brightest < self.faintest
        ):  # fmt: skip
            raise ConfigError(
                "A sky has an unusable setting",
                got=dict(zip(self.__dataclass_fields__, numbers, strict=True)),
                expected="ra 0..360, dec -90..90, width 5..3600 arcsec, at most 1000 sources per square arcminute, "
                "brightest < faintest",
            )


class Sky:
    """A field of the sky; everything in it is a pure function of its configuration.

    Attributes:
        config: What makes it.
    """

    def __init__(self, config: SkyConfig | None = None) -> None:
        self.config = config or SkyConfig()

    @cached_property
    def catalogue(self) -> pd.DataFrame:
        """The truth, one row a source.

        Columns: `kind` (`galaxy`, `star`), `ra`, `dec`, `mag` (AB at 715 nm), `redshift`, `n`, `radius` (R_e along the
        major axis, arcsec), `ratio` (of the axes), `angle` (of the major axis from north to east, degrees), `young`,
        `dust`, `kelvin`. Numbers grow in brightness as 10^(0.33 m) for galaxies and 10^(0.12 m) for stars; radii shrink
        with magnitude as 10^(-0.11 m) with a spread of 0.18 dex.
        """
        c = self.config
        rng = noise.rng(c.seed, "sky")
        area = (c.width / 60) ** 2
        counts = rng.poisson([c.galaxies * area, c.stars * area])
        total = int(counts.sum())
        galaxy = np.arange(total) < counts[0]
        slope = np.where(galaxy, 0.33, 0.12)
        low, high = 10 ** (slope * c.brightest), 10 ** (slope * c.faintest)
        mag = np.log10(low + rng.random(total) * (high - low)) / slope
        x, y = rng.uniform(-0.5, 0.5, (2, total)) * c.width
        ra, dec = sky_at(x, y, c.ra, c.dec)
        round_ = rng.random(total) < 0.25
        n = np.round(np.where(round_, rng.uniform(2.2, 4.0, total), rng.uniform(0.7, 1.5, total)) * 20) / 20
        radius = 0.75 * 10 ** (-0.11 * (mag - 20) + rng.normal(0, 0.18, total))
        shape = np.where(round_, rng.uniform(0.6, 1.0, total), rng.uniform(0.25, 1.0, total))
        redshift = np.clip(rng.gamma(3.0, 0.06 + 0.05 * np.clip(mag - 18, 0, 8)), 0.02, 5.0)
        young = np.where(round_, rng.uniform(0.0, 0.15, total), rng.uniform(0.45, 0.98, total))
        dust = np.where(round_, 0.1, rng.gamma(2.0, 0.15, total))
        kelvin = 10 ** rng.uniform(np.log10(3100), np.log10(9000), total)
        angle = rng.uniform(0, 180, total)
        columns: dict[str, np.ndarray] = {
            "n": n, "radius": radius, "ratio": shape, "angle": angle, "redshift": redshift, "young": young,
            "dust": dust,
        }  # fmt: skip
        return pd.DataFrame(
            {
                "kind": np.where(galaxy, "galaxy", "star"),
                "ra": ra,
                "dec": dec,
                "mag": mag,
                **{name: np.where(galaxy, values, np.nan) for name, values in columns.items()},
                "kelvin": np.where(galaxy, np.nan, kelvin),
            }
        )

    def flux(self, through: Filter) -> np.ndarray:
        """True flux of each source in a filter, microjansky: the mean of its spectrum over the box in ln(nu)."""
        table = self.catalogue
        wavelengths = np.geomspace(
            through.wavelength - through.width / 2, through.wavelength + through.width / 2, 41
        )  # fmt: skip
        seen = self._spectrum(wavelengths[:, None])
        return np.asarray(10 ** (0.4 * (23.9 - table["mag"])) * seen.mean(0) / self._spectrum(np.array([[715.0]]))[0])

    def _spectrum(self, wavelength: np.ndarray) -> np.ndarray:
        t = self.catalogue
        star = (t["kind"] == "star").to_numpy()
        hot = black_body(wavelength, np.where(star, t["kelvin"], 5000.0))
        facts = (np.where(star, 0.0, t[name]) for name in ("redshift", "young", "dust"))
        return np.where(star, hot / black_body(np.array(715.0), np.where(star, t["kelvin"], 5000.0)),
                        galaxy_spectrum(wavelength, *facts))  # fmt: skip


@dataclass(frozen=True)
class Exposure:
    """A picture of a field.

    Attributes:
        values: Counts `[H, W]` float32, background subtracted.
        clean: The same without noise, float64.
        rms: Standard deviation of the noise of each pixel, counts.
        psf: Point spread, sum one, its middle on the middle pixel.
        telescope: What saw it.
        band: Name of the filter.
        wcs: Header cards of the projection.
    """

    values: np.ndarray
    clean: np.ndarray
    rms: np.ndarray
    psf: np.ndarray
    telescope: Telescope
    band: str
    wcs: dict[str, float | str]


def observe(sky: Sky, telescope: Telescope | str, band: str) -> Exposure:
    """See a field through a filter.

    Args:
        sky: The field.
        telescope: Which telescope, or its name; `dataclasses.replace(telescope, pixel=0.1)` puts it on other pixels.
        band: Name of a filter of it.

    Raises:
        UnknownNameError: If there is no such telescope or filter.
    """
    if isinstance(telescope, str):
        if telescope not in TELESCOPES:
            raise UnknownNameError(f"There is no telescope '{telescope}'", expected=", ".join(TELESCOPES))
        telescope = TELESCOPES[telescope]
    if band not in telescope.filters:
        raise UnknownNameError(f"{telescope.name} has no filter '{band}'", expected=", ".join(telescope.filters))
    through = telescope.filters[band]
    size = int(np.ceil(sky.config.width / telescope.pixel))
    table = sky.catalogue
    counts = sky.flux(through) * 10 ** (0.4 * (telescope.zero_point - 23.9))
    cols, rows = places(sky, table["ra"].to_numpy(), table["dec"].to_numpy(), telescope.pixel)
    clean = np.zeros((size, size))
    blur = through.fwhm / telescope.pixel
    fold = 1 if blur > 3.5 else 3
    for row, col, count, kind, n, radius, ratio, angle in zip(
        rows, cols, counts, *(table[name] for name in ("kind", "n", "radius", "ratio", "angle")), strict=True
    ):
        radius = radius / telescope.pixel
        reach = 12 * blur + (0 if kind == "star" else CUT * radius)
        edge = fft.next_fast_len(2 * int(np.ceil(reach)) + 2, real=True)
        # columns run west, rows run north: an angle from north to east is one from the rows toward lower columns
        shape = None if kind == "star" else (n, radius, ratio, np.radians(angle + 90))
        first_col, first_row = (int(np.floor(v)) - edge // 2 for v in (col, row))
        source = stamp((col - first_col + 0.5, row - first_row + 0.5), edge, blur, telescope.beta, shape, fold)
        _add(clean, source * count, first_row, first_col)
    point = stamp((30.5, 30.5), 61, blur, telescope.beta, None, fold)
    sigma = 10 ** (0.4 * (telescope.zero_point - through.depth)) / 5 * np.sqrt((point**2).sum())
    rms = np.sqrt(sigma**2 + np.maximum(clean, 0) / telescope.gain)
    rng = noise.rng(sky.config.seed, "exposure", telescope.name, band, telescope.pixel)
    values = clean + rms * rng.standard_normal(clean.shape)
    return Exposure(
        values.astype(np.float32), clean, rms.astype(np.float32), point, telescope, band, header(sky, telescope)
    )


def header(sky: Sky, telescope: Telescope) -> dict[str, float | str]:
    """Cards of the projection of a field on the pixels of a telescope, as FITS has them."""
    middle = (np.ceil(sky.config.width / telescope.pixel) + 1) / 2
    step = telescope.pixel / 3600
    return {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
        "CRPIX1": middle, "CRPIX2": middle, "CRVAL1": sky.config.ra, "CRVAL2": sky.config.dec,
        "CD1_1": -step, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": step, "RADESYS": "ICRS",
    }  # fmt: skip


def places(sky: Sky, ra: np.ndarray, dec: np.ndarray, pixel: float) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of positions on pixels of `pixel` arcsec; `(0, 0)` is the middle of the first."""
    a, d = np.radians(ra - sky.config.ra), np.radians(dec)
    d0 = np.radians(sky.config.dec)
    below = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(a)
    x = np.cos(d) * np.sin(a) / below
    y = (np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(a)) / below
    middle = (np.ceil(sky.config.width / pixel) - 1) / 2
    scale = np.degrees(1) * 3600 / pixel
    return middle - x * scale, middle + y * scale


def sky_at(east: np.ndarray, north: np.ndarray, ra: float, dec: float) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension and declination, degrees, of offsets in arcsec on the tangent plane at `ra`, `dec`."""
    x, y = (np.radians(v / 3600) for v in (east, north))
    d0 = np.radians(dec)
    a = np.arctan2(x, np.cos(d0) - y * np.sin(d0))
    d = np.arctan2((np.sin(d0) + y * np.cos(d0)) * np.cos(a), np.cos(d0) - y * np.sin(d0))
    return np.mod(ra + np.degrees(a), 360), np.degrees(d)


def _add(picture: np.ndarray, source: np.ndarray, row: int, col: int) -> None:
    """Add a stamp whose first pixel lies at `row`, `col`; what lies outside is lost."""
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + source.shape[0], picture.shape[0]), min(col + source.shape[1], picture.shape[1])
    if top < bottom and left < right:
        picture[top:bottom, left:right] += source[top - row : bottom - row, left - col : right - col]
