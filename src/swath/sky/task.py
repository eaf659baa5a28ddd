"""The sky catalogue as a task: four verbs around detection and photometry, with nothing to be trained."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from swath.errors import DataError, ReadError, RunError
from swath.geo.windows import Window
from swath.sky.catalogue import finished, read_catalogue, write_catalogue, write_segmentation
from swath.sky.detection import detect, without_background
from swath.sky.files import Field, find_field, read_band
from swath.sky.measure import Settings
from swath.sky.mosaics import Mosaic, on_one_grid
from swath.sky.plots import diagnostics
from swath.sky.scoring import score_catalogue
from swath.sky.tiles import measure_tiles, stage, staged
from swath.tasks.run import Run
from swath.tasks.scores import Scores
from swath.tasks.task import Task

#: Thresholds that `fit` chooses from, in the noise of the filtered picture.
_THRESHOLDS = (3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 8.0)


@dataclass(frozen=True)
class SkyData:
    """A folder of mosaics.

    Attributes:
        field: Files of each band.
        truth: True sources with `ra`, `dec`, `flux_<band>` (microjansky); None where nobody knows them.
    """

    field: Field
    truth: pd.DataFrame | None = None


class SkyCatalogue(Task):
    """Detection and photometry of the sky; nothing must be trained."""

    kind: ClassVar[str] = "sky_catalogue"
    trained: ClassVar[bool] = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.net = None
        self.bands = {}

    def open_data(self, path: str) -> SkyData:
        """Mosaics of a folder, with the truth in `truth.fits` if it is there: `ra`, `dec`, `flux_<band>`."""
        folder = Path(path)
        if not folder.is_dir():
            raise ReadError(
                f"There is no folder {folder}", expected="a folder of mosaics, with truth.fits to be scored"
            )
        truth = folder / "truth.fits"
        return SkyData(find_field([path], self.settings.vis), _truth(truth) if truth.exists() else None)

    def open_source(self, words: Sequence[str], crs: str | None = None) -> Field:
        """A folder of mosaics, or `BAND=FILE` for each, or files whose card FILTER names their band.

        Raises:
            DataError: If a CRS is asked for: the projection of the sky stands in the files.
        """
        if crs is not None:
            raise DataError("Mosaics of the sky have no CRS", got=f"--crs {crs}", fix="Leave it out")
        return find_field(words, self.settings.vis)

    def fit(self, data: SkyData, run: Path, resample: bool = False) -> Run:
        """Choose the threshold of detection: the least at which noise makes no more than one in a hundred sources.

        What is found in the sharp mosaic with its sign turned is noise; no truth is used.

        Args:
            data: Mosaics.
            run: Folder of the run.
            resample: Whether mosaics on other grids are brought onto that of the sharp one.
        """
        vis = self.settings.vis
        if vis not in data.field:
            raise DataError("The band of detection is absent", got=", ".join(data.field), expected=vis)
        mosaic = without_background(read_band(vis, data.field[vis], resample=resample))
        turned = replace(mosaic, values=-mosaic.values)
        for threshold in _THRESHOLDS:
            options: dict[str, Any] = {"threshold": threshold, "minimum_area": self.settings.minimum_area}
            noise, found = (len(detect(m, **options).sources) for m in (turned, mosaic))
            if noise <= 0.01 * found:
                break
        else:
            raise DataError(
                f"The noise of {vis} is not what its noise map says",
                got=f"{noise} detections in the turned mosaic, {found} in the mosaic, at {threshold:g} sigma",
                fix="Check the RMS map and the background",
            )
        self.settings = replace(self.settings, threshold=threshold)
        self.save(run)
        return Run(run)

    def predict(
        self,
        source: Field,
        output: Path,
        tile: int = 1024,
        margin: int = 128,
        workers: int = 1,
        resample: bool = False,
        subtract: bool = True,
        flag_bits: int = -1,
        stars: str = "",
        plots: bool = True,
    ) -> list[Path]:
        """Write the catalogue, and beside it the segmentation map and diagnostic plots.

        Args:
            source: Files of each band.
            output: The FITS table; `_segmap.fits` and `_plots.png` stand beside it.
            tile: Edge of a tile, pixels.
            margin: By how much each tile looks beyond its edge, pixels; more than the largest source is wide.
            workers: Processes that measure tiles.
            resample: Whether mosaics on other grids are brought onto that of the sharp one.
            subtract: Whether residual backgrounds are subtracted.
            flag_bits: Bits of the flag maps that make a pixel bad; -1 for all.
            stars: FITS table of bright stars with `ra`, `dec`, `mag`; sources near them are flagged.
            plots: Whether to draw diagnostic plots.
        """
        bright = _stars(Path(stars)) if stars else None
        output = Path(output)
        options = {"resample": resample, "subtract": subtract, "flag_bits": flag_bits}
        with self._staged(source, output.parent, options) as places:
            mosaics = [staged(place) for place in places]
            table, segments = measure_tiles(
                places, self.settings, tile=tile, margin=margin, workers=workers, stars=bright
            )
            catalogue = finished(table, mosaics[0].wcs)
            facts: dict[str, str | float | int] = {"SYSTEM": "euclid_mer", "THRESH": self.settings.threshold}
            facts |= {f"BAND{i}": m.band for i, m in enumerate(mosaics)}
            write_catalogue(catalogue, output, facts)
            written = [output, output.with_name(f"{output.stem}_segmap.fits")]
            write_segmentation(segments, mosaics[0].wcs, written[1])
            if plots:
                written.append(output.with_name(f"{output.stem}_plots.png"))
                places_only = table[["x", "y"]].join(catalogue)
                diagnostics(places_only, segments, mosaics, self.settings, written[2])
        return written

    def score(self, data: SkyData, part: str = "test", workers: int = 1, resample: bool = False) -> Scores:
        """Score against true sources, beside fixed apertures on sources of the sharp band.

        Args:
            data: Mosaics with their truth.
            part: Name of the part; a folder is one part.
            workers: Processes that measure tiles.
            resample: Whether mosaics on other grids are brought onto that of the sharp one.

        Raises:
            DataError: If the folder holds no truth.
        """
        if data.truth is None:
            raise DataError("The mosaics have no truth to be scored against", expected="truth.fits beside them")
        if absent := sorted(b for b in data.field if f"flux_{b}" not in data.truth):
            raise DataError("The truth does not know all bands", got=f"no flux of {', '.join(absent)}")
        options = {"resample": resample, "subtract": True, "flag_bits": -1}
        quick = replace(self.settings, profile_significance=np.inf, morphology_significance=np.inf)
        with tempfile.TemporaryDirectory() as folder, self._staged(data.field, Path(folder), options) as places:
            table, _ = measure_tiles(places, quick, workers=workers)
            mosaics = [m.cut(Window(0, 0, *m.values.shape)) for m in map(staged, places)]
            return score_catalogue(table, data.truth, mosaics, self.settings, part)

    def learned(self, run: Path) -> dict[str, Any]:
        """The settings; there are no weights."""
        return {"settings": asdict(self.settings)}

    def recall(self, run: Path, description: dict[str, Any]) -> None:
        """Take back the settings of a run.

        Raises:
            RunError: If they are not there.
        """
        try:
            found = dict(description["settings"])
            lists = {name: tuple(found[name]) for name in ("nir", "apertures")}
            self.settings = Settings(**{**found, **lists})
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{run} does not hold the settings of a sky catalogue", got=error) from error

    @contextmanager
    def _staged(self, field: Field, beside: Path, options: dict[str, Any]) -> Iterator[list[Path]]:
        """Each band read, brought onto the grid of the first, less its background, and put down as raw arrays."""
        if self.settings.vis not in field:
            raise DataError(
                "The band of detection is absent",
                got=", ".join(field),
                expected=self.settings.vis,
                fix="Say which band is the sharp one with the option `vis`",
            )
        beside.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sky-", dir=beside) as folder:
            places: list[Path] = []
            first: Mosaic | None = None
            for band, pictures in field.items():
                mosaic = read_band(band, pictures, first, resample=options["resample"], flag_bits=options["flag_bits"])
                if first is not None:
                    [_, mosaic] = on_one_grid([first, mosaic], resample=options["resample"])
                mosaic = without_background(mosaic) if options["subtract"] else mosaic
                places.append(stage(mosaic, Path(folder)))
                first = staged(places[0])
            yield places


def _truth(path: Path) -> pd.DataFrame:
    table = read_catalogue(path)
    if missing := sorted({"ra", "dec"} - set(table)):
        raise DataError(f"{path} is no table of true sources", got=f"no {', '.join(missing)}")
    names = [str(name) for name in table]
    return table.rename(columns={n: f"flux_{n[5:].upper()}" for n in names if n.startswith("flux_")})


def _stars(path: Path) -> pd.DataFrame:
    table = read_catalogue(path)
    if missing := sorted({"ra", "dec", "mag"} - set(table)):
        raise DataError(f"{path} is no table of stars", got=f"no {', '.join(missing)}")
    return table.dropna(subset=["ra", "dec", "mag"])
