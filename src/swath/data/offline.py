"""Offline augmentation: a fixed number of altered copies of every training tile, made when they are read.

LandCover.ai's authors (arXiv 2005.02264) stored nine altered copies of each training tile beside it: hue, saturation,
greyscale, contrast, brightness, sharpness and geometry changed. A copy here is a scene of its own whose pixels and
labels are altered on reading, always in the same way, so no file has to be written. The strengths are our choice.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from odc.geo.geobox import GeoBox

from swath.data.classes import IGNORE
from swath.data.scenes import Collection, Labels, Scene
from swath.data.sources import Source
from swath.errors import DataError
from swath.geo.windows import Window, whole

#: Longest edge of a scene that can be altered: each read alters all of it.
LARGEST_TILE = 2048

#: Range of the factor (of the turn of the colour circle, for hue) that each change of colour draws from.
STRENGTHS: Mapping[str, tuple[float, float]] = {
    "hue": (-0.05, 0.05),
    "saturation": (0.7, 1.3),
    "contrast": (0.7, 1.3),
    "brightness": (0.7, 1.3),
    "sharpness": (0.5, 2.0),
}
_CHANCE, _GREY_CHANCE, _SCALES = 0.5, 0.1, (0.8, 1.25)


@dataclass(frozen=True)
class Alteration:
    """One way to change a tile.

    Attributes:
        colour: Changes of colour in order, with their factors; see `STRENGTHS`.
        grey: Whether colour is taken away at the end.
        geometry: Linear map `[2, 2]` from offsets `(row, col)` in the altered tile to offsets in the tile, both
            counted from its centre: a turn, a scale and perhaps a flip.
    """

    colour: tuple[tuple[str, float], ...]
    grey: bool
    geometry: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Alteration:
        """A random alteration: each change of colour by an even chance, in random order; geometry always."""
        names = [name for name in STRENGTHS if rng.random() < _CHANCE]
        rng.shuffle(names)
        colour = tuple((name, float(rng.uniform(*STRENGTHS[name]))) for name in names)
        grey = bool(rng.random() < _GREY_CHANCE)
        turn, scale, flip = rng.uniform(0, 2 * np.pi), rng.uniform(*_SCALES), rng.choice((-1.0, 1.0))
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return cls(colour, grey, rotation @ np.diag([1.0, flip]) / scale)

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """Altered 8-bit RGB `[3, height, width]`: bilinear, mirrored at the borders."""
        import torch
        from torchvision.transforms.v2 import functional

        image = torch.from_numpy(np.ascontiguousarray(pixels))
        for name, factor in self.colour:
            change: Callable[..., torch.Tensor] = getattr(functional, f"adjust_{name}")
            image = change(image, factor)
        if self.grey:
            image = functional.rgb_to_grayscale(image, num_output_channels=3)
        return np.stack([self._warp(plane.astype(np.float32), 1).round() for plane in image.numpy()]).astype(np.uint8)

    def plane(self, values: np.ndarray) -> np.ndarray:
        """Altered classes or validity `[height, width]`: nearest, mirrored at the borders."""
        return self._warp(values.astype(np.int16), 0).astype(values.dtype)

    def _warp(self, plane: np.ndarray, order: int) -> np.ndarray:
        from scipy.ndimage import affine_transform

        centre = (np.array(plane.shape) - 1) / 2
        offset = centre - self.geometry @ centre
        warped: np.ndarray = affine_transform(plane, self.geometry, offset, order=order, mode="reflect")
        return warped


class AlteredSource:
    """A tile's pixels, altered; a `Source`.

    Raises:
        DataError: If the tile is not 8-bit RGB or too large.
    """

    def __init__(self, original: Source, alteration: Alteration) -> None:
        if original.dtype != np.uint8 or len(original.bands) != 3:
            raise DataError(
                f"{original.name} cannot be altered",
                got=f"{len(original.bands)} bands of {original.dtype}",
                expected="8-bit RGB",
                fix="Augment while training instead: `augment` of the recipe",
            )
        if max(original.grid.shape) > LARGEST_TILE:
            raise DataError(
                f"{original.name} is too large to be altered as a whole",
                got="x".join(map(str, original.grid.shape)),
                expected=f"edges of at most {LARGEST_TILE} pixels",
                fix="Cut it into tiles, or augment while training: `augment` of the recipe",
            )
        self.name = f"{original.name} (altered)"
        self.grid, self.bands, self.dtype = original.grid, original.bands, original.dtype
        self._original, self._alteration = original, alteration

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """See `Source.read`."""
        pixels, valid = self._original.read(whole(self.grid.shape))
        pixels, valid = self._alteration.image(pixels), self._alteration.plane(valid)
        return crop(pixels, window, 0), crop(valid, window, False)


class AlteredLabels:
    """A tile's labels, altered as its pixels are."""

    def __init__(self, original: Labels, alteration: Alteration, tile: GeoBox) -> None:
        self.name = f"{original.name} (altered)"
        self._original, self._alteration, self._tile = original, alteration, tile

    def read(self, grid: GeoBox) -> np.ndarray:
        """See `Labels.read`; `grid` must be a window of the tile's grid.

        Raises:
            DataError: If it is not.
        """
        altered = self._alteration.plane(self._original.read(self._tile))
        return crop(altered, self._window(grid), IGNORE)

    def _window(self, grid: GeoBox) -> Window:
        to_tile = ~self._tile.affine @ grid.affine
        row, col = round(to_tile.f), round(to_tile.c)
        if not np.allclose(to_tile[:6], (1, 0, col, 0, 1, row), atol=1e-3):
            raise DataError(f"{self.name} can only be read on the tile's own pixels", got=to_tile[:6])
        return Window(row, col, *grid.shape)


def with_copies(collection: Collection, copies: int = 9, seed: int = 0) -> Collection:
    """`collection` with altered copies of its training scenes, each called `<id>~<number>`.

    Raises:
        DataError: If a training scene is no tile of 8-bit RGB, or is itself divided between the parts of a split.
    """
    if copies < 0:
        raise DataError("The number of altered copies is negative", got=copies, expected="0 or more")
    if torn := [scene.id for scene in collection if not isinstance(scene.part, str)]:
        raise DataError(
            f"Scenes of {collection.name} are in no single part of a split",
            got=", ".join(torn[:4]),
            fix="Split by scene before altered copies are made",
        )
    made = [
        _copy(scene, number, seed) for scene in collection if scene.part == "train" for number in range(1, copies + 1)
    ]
    return collection.with_scenes((*collection, *made), altered_copies=copies, altered_seed=seed)


def crop(values: np.ndarray, window: Window, outside: int | bool) -> np.ndarray:
    """The `window` of the last two axes of `values`, with the value `outside` beyond them."""
    result = np.full((*values.shape[:-2], *window.shape), outside, values.dtype)
    inside = window.intersect(whole(values.shape[-2:]))
    if not inside.empty:
        here, there = inside.relative_to(window).slices, inside.slices
        result[..., *here] = values[..., *there]
    return result


def _copy(scene: Scene, number: int, seed: int) -> Scene:
    rng = np.random.default_rng([seed, zlib.crc32(scene.id.encode()), number])
    alteration = Alteration.draw(rng)
    layers: dict[str, Source] = {name: AlteredSource(source, alteration) for name, source in scene.layers.items()}
    labels = None if scene.labels is None else AlteredLabels(scene.labels, alteration, scene.grid)
    return replace(scene, id=f"{scene.id}~{number}", layers=layers, labels=labels)
