"""Small radiance cubes with a plume of known column, without any of Swath's code."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning


@dataclass(frozen=True)
class TinyCube:
    """Radiance `[bands, H, W]`, absorption per ppm m `[bands]`, wavelengths nm, and the true column ppm m `[H, W]`."""

    radiance: np.ndarray
    absorption: np.ndarray
    wavelengths: np.ndarray
    column: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """`[bands, pixels]`."""
        return self.radiance.reshape(len(self.radiance), -1)


def tiny_cube(
    height: int = 128, width: int = 128, bands: int = 50, strength: float = 3000.0, seed: int = 0
) -> TinyCube:
    """Six smooth materials, mixed at random, under a Gaussian blob of gas, with noise (signal to noise about 200)."""
    rng = np.random.default_rng(seed)
    wavelengths = np.linspace(2122.0, 2488.0, bands)
    absorption = -1e-5 * (0.05 + np.exp(-(((wavelengths - 2340) / 70) ** 2)) * (1 + 0.4 * np.sin(wavelengths / 5)))
    phase = np.linspace(0, 6, bands) * rng.uniform(0.5, 2, (6, 1))
    materials = rng.uniform(0.5, 4, (6, 1)) * (1 + 0.2 * np.sin(phase))
    mixed = rng.dirichlet(np.ones(6), height * width) @ materials
    row, col = np.mgrid[:height, :width]
    spread = (min(height, width) / 12) ** 2
    column = strength * np.exp(-((row - height / 2) ** 2 + (col - width / 2) ** 2) / spread)
    seen = mixed * np.exp(column.reshape(-1, 1) * absorption) + rng.normal(0, 0.01, mixed.shape)
    return TinyCube(np.ascontiguousarray(seen.T).reshape(bands, height, width), absorption, wavelengths, column)


def with_colours(cube: TinyCube, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Radiance and wavelengths with blue, green and red before the others: bright ground with noise, no gas."""
    colours = np.random.default_rng(seed).uniform(4, 8, (3, *cube.column.shape))
    return np.concatenate([colours, cube.radiance]), np.concatenate([[460.0, 550.0, 640.0], cube.wavelengths])


def write_envi(
    path: Path,
    radiance: np.ndarray,
    wavelengths: np.ndarray,
    header: str = "wavelength units = Nanometers\ndata units = uW cm-2 sr-1 nm-1\n",
    fwhm: float | None = None,
    crs: str | None = "EPSG:32613",
) -> Path:
    """Write `radiance` `[bands, H, W]` as an ENVI file of lines of bands, 20 m pixels, with its `.hdr`."""
    count, height, width = radiance.shape
    place = {"crs": crs, "transform": rasterio.Affine(20, 0, 5e5, 0, -20, 4e6)} if crs else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="ENVI",
            height=height,
            width=width,
            count=count,
            dtype="float32",
            interleave="bil",
            **place,
        ) as file:
            file.write(radiance.astype(np.float32))
    beside = path.with_suffix(".hdr")
    numbers = f"wavelength = {{{', '.join(f'{nm:.4f}' for nm in wavelengths)}}}\n" if len(wavelengths) else ""
    widths = f"fwhm = {{{', '.join([str(fwhm)] * count)}}}\n" if fwhm else ""
    beside.write_text(beside.read_text() + numbers + widths + header)
    return path


def write_table(path: Path, cube: TinyCube) -> Path:
    """Write the absorption of a cube as `wavelength,absorption`."""
    rows = np.column_stack((cube.wavelengths, cube.absorption))
    np.savetxt(path, rows, delimiter=",", header="wavelength,absorption", comments="", fmt="%.12g")
    return path
