"""The band contract: no tensor without sensor, names, wavelengths, units, scale, offset and nodata of its bands.

Files hold *stored* numbers; physical value = stored * scale + offset, in the band's unit. Swath computes statistics,
normalises and predicts on physical values, so a scene with another scale of the same unit gives the same map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swath.errors import BandError


@dataclass(frozen=True, slots=True)
class Band:
    """One band as stored in a file.

    Attributes:
        name: The field's name of the band, for example `B04`.
        unit: Unit of the physical value: `reflectance` (0..1), `radiance` (W m-2 sr-1 um-1), `K`, `dB`, `power`
            (linear backscatter), `dn` (uncalibrated counts), `m`, `1` (dimensionless), ...
        wavelength: Centre wavelength in nanometres; None where the notion does not apply (radar, elevation).
        scale: Factor from stored numbers to physical values.
        offset: Added after scaling, in `unit`.
        nodata: Stored number that marks an invalid pixel; None where there is none. NaN is always invalid.
        aliases: Other names in use, for example `red`.
        fwhm: Full width at half maximum in nanometres, where known.
    """

    name: str
    unit: str
    wavelength: float | None = None
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    aliases: tuple[str, ...] = ()
    fwhm: float | None = None

    def called(self, name: str) -> bool:
        """Whether `name` is this band's name or alias, upper or lower case."""
        return name.casefold() in (self.name.casefold(), *(alias.casefold() for alias in self.aliases))


@dataclass(frozen=True, slots=True)
class Bands(Sequence[Band]):
    """The bands of a tensor or file, in order: `len(bands)` is the size of the band axis.

    Attributes:
        sensor: Id of the sensor, for example `sentinel2_l2a`; bands of other sensors never match silently.
        bands: The bands in order.
    """

    sensor: str
    bands: tuple[Band, ...]

    def __post_init__(self) -> None:
        doubled = sorted({band.name for band in self.bands if sum(band.called(b.name) for b in self.bands) > 1})
        if doubled:
            raise BandError(f"A band of {self.sensor} is named twice", got=", ".join(self.names))
        if not self.bands:
            raise BandError(f"No band of {self.sensor} is named", expected="at least one")

    def __len__(self) -> int:
        return len(self.bands)

    def __getitem__(self, index: int) -> Band:  # type: ignore[override]
        return self.bands[index]

    def __iter__(self) -> Iterator[Band]:
        return iter(self.bands)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(band.name for band in self.bands)

    @property
    def units(self) -> tuple[str, ...]:
        """Units in order."""
        return tuple(band.unit for band in self.bands)

    def index(self, name: str, where: str = "") -> int:  # type: ignore[override]
        """Position of the band called `name` (or by that alias); `where` is what `self` describes, for the message."""
        for position, band in enumerate(self.bands):
            if band.called(name):
                return position
        raise BandError(
            f"{where or self.sensor} has no band '{name}'",
            got=", ".join(f"{b.name} ({'/'.join(b.aliases)})" if b.aliases else b.name for b in self.bands),
            expected=name,
        )

    def select(self, names: Iterable[str]) -> Bands:
        """The bands called `names`, in that order."""
        return Bands(self.sensor, tuple(self.bands[self.index(name)] for name in names))

    def with_storage(
        self,
        scale: float | None = None,
        offset: float | None = None,
        unit: str | None = None,
        nodata: float | None = None,
    ) -> Bands:
        """The same bands stored otherwise: each argument that is not None replaces that of every band."""
        changed = {
            k: v for k, v in (("scale", scale), ("offset", offset), ("unit", unit), ("nodata", nodata)) if v is not None
        }
        return Bands(self.sensor, tuple(replace(band, **changed) for band in self.bands))  # type: ignore[arg-type]

    def decode(self, stored: np.ndarray, axis: int = 0) -> np.ndarray:
        """Physical values, float32, of `stored` numbers whose `axis` is the band axis."""
        shape = [1] * stored.ndim
        shape[axis] = len(self)
        scale = np.array([band.scale for band in self], np.float32)
        offset = np.array([band.offset for band in self], np.float32)
        values = stored.astype(np.float32)
        if np.any(scale != 1):
            values *= scale.reshape(shape)
        if np.any(offset != 0):
            values += offset.reshape(shape)
        return values

    def require(self, needed: Bands, name: str) -> tuple[int, ...]:
        """Positions in `self` of the bands that a network needs.

        Args:
            needed: The bands that the network was trained on.
            name: What `self` describes, for the message.

        Raises:
            BandError: If the sensor differs, a band is missing, or a band has another unit.
        """
        if self.sensor != needed.sensor:
            raise BandError(
                f"{name} is of another sensor",
                got=self.sensor,
                expected=needed.sensor,
                fix="Name the sensor of the file with `sensor:` / `--sensor`, or fit on data of this sensor",
            )
        positions = tuple(self.index(band.name, name) for band in needed)
        for position, band in zip(positions, needed, strict=True):
            if self.bands[position].unit != band.unit:
                raise BandError(
                    f"Band {band.name} of {name} is in another unit",
                    got=self.bands[position].unit,
                    expected=band.unit,
                    fix="Give the unit and scale of the file with `unit:`, `scale:`, `offset:`",
                )
        return positions
