"""Augmentation: one transform for image, series, mask, validity and boxes of a patch, in physical units.

What a patch gets is drawn from (seed, epoch, scene, window), so it does not depend on batches, threads or ranks.
Geometric operations move everything alike, a series around its own middle, which is that of the patch; radiometric ones
change the image only, at valid pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.data.classes import IGNORE
from swath.errors import UnknownNameError

#: What is told of each thing beside its box and mask.
_THINGS = ("label", "crowd")

Sample = dict[str, Any]
Operation = Callable[[Sample, np.random.Generator], Sample]


class Augment:
    """A chain of named operations on batches.

    Args:
        names: Operations in order, see `operation_names`.
        seed: Of the run.
        epoch: Each epoch draws anew.

    Raises:
        UnknownNameError: If there is no such operation.
    """

    def __init__(self, names: Sequence[str], seed: int, epoch: int = 0) -> None:
        if strange := [name for name in names if name not in _OPERATIONS]:
            raise UnknownNameError(f"There is no augmentation '{strange[0]}'", expected=", ".join(_OPERATIONS))
        self._operations = [_OPERATIONS[name] for name in names]
        self._seed, self._epoch = seed, epoch

    def __call__(self, batch: Sample) -> Sample:
        """A batch as `swath.data.loader.Batches` makes it, each patch changed in its own way.

        `bbox_xyxy`, where there, is a list of boxes `[n, 4]` (x0, y0, x1, y1 in pixels) for each patch. With
        `instance_masks` `[n, H, W]` beside them, boxes stay the smallest around the pixels, and things that leave the
        patch are gone.
        """
        changed = [self._changed(_sample(batch, i)) for i in range(len(batch["valid"]))]
        return _collated(changed, {key for key, value in batch.items() if isinstance(value, list)})

    def _changed(self, sample: Sample) -> Sample:
        # Windows may begin left of or above their scene, and a seed takes no negative numbers.
        place = [int(sample["scene"]), *(int(v) + 2**31 for v in sample["window"][:2])]
        generator = np.random.default_rng([self._seed, self._epoch, *place])
        for operation in self._operations:
            sample = operation(sample, generator)
        return sample


def operation_names() -> tuple[str, ...]:
    """Names of all operations."""
    return tuple(_OPERATIONS)


def d4(sample: Sample, generator: np.random.Generator) -> Sample:
    """One of the eight symmetries of the square, exactly: no pixel is interpolated."""
    turns, mirrored = int(generator.integers(4)), bool(generator.integers(2))

    def move(values: Tensor) -> Tensor:
        turned = torch.rot90(values, turns, (-2, -1))
        return turned.flip(-1) if mirrored else turned

    def place(x: Tensor, y: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        height, width = size
        for _ in range(turns):  # a quarter turn against the clock takes the right edge to the top
            x, y, height, width = y, width - x, width, height
        return (width - x, y) if mirrored else (x, y)

    return _moved(sample, _exactly(move), move, place)


def flip(sample: Sample, generator: np.random.Generator) -> Sample:
    """Mirrored left to right or not."""
    if not generator.integers(2):
        return sample

    def mirror(values: Tensor) -> Tensor:
        return values.flip(-1)

    return _moved(sample, _exactly(mirror), mirror, lambda x, y, size: (size[1] - x, y))


def affine(sample: Sample, generator: np.random.Generator) -> Sample:
    """Turned by up to 45 degrees and scaled by 0.8 to 1.25 around the centre.

    The image is interpolated bilinearly from valid pixels, the mask takes the nearest; what comes from beyond the patch
    or from invalid pixels is invalid.
    """
    from kornia.geometry.transform import get_rotation_matrix2d, warp_affine

    angle, scale = generator.uniform(-45, 45), 2 ** generator.uniform(math.log2(0.8), math.log2(1.25))

    def matrix(height: int, width: int) -> Tensor:
        # kornia counts pixel centres from 0, boxes count pixel corners from 0.
        centre = torch.tensor([[(width - 1) / 2, (height - 1) / 2]])
        return get_rotation_matrix2d(centre, torch.tensor([float(angle)]), torch.full((1, 2), float(scale)))

    def warp(values: Tensor, mode: str) -> Tensor:
        """Warp `[N, C, h, w]`."""
        height, width = values.shape[-2:]
        turned = matrix(height, width).expand(len(values), 2, 3)
        return warp_affine(values, turned, (height, width), mode=mode, padding_mode="zeros", align_corners=True)

    def images(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        share = warp(valid[:, None].float(), "bilinear")
        known = warp(values * valid[:, None], "bilinear") / share.clamp(min=0.5)
        return torch.where(share > 0.5, known, 0.0), share[:, 0] > 0.5

    def mask(values: Tensor) -> Tensor:
        shifted = (values - IGNORE)[None, None].float()  # beyond the patch comes out as zero, which is no label
        return warp(shifted, "nearest")[0, 0].round().long() + IGNORE

    def place(x: Tensor, y: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        points = torch.stack([x - 0.5, y - 0.5, torch.ones_like(x)], -1) @ matrix(*size)[0].T
        return (points[..., 0] + 0.5).clamp(0, size[1]), (points[..., 1] + 0.5).clamp(0, size[0])

    return _moved(sample, images, mask, place)


def colour(sample: Sample, generator: np.random.Generator) -> Sample:
    """Contrast by 0.8 to 1.25 around each band's mean, and brightness by up to a fifth of its deviation.

    All bands of a layer change by the same factor, so that their ratios keep telling materials apart.
    """

    def change(values: Tensor, valid: Tensor) -> Tensor:
        contrast, brightness = 2 ** generator.uniform(-0.322, 0.322), generator.uniform(-0.2, 0.2)
        known = values[:, valid]
        mean, deviation = known.mean(1)[:, None, None], known.std(1, correction=0)[:, None, None]
        return (values - mean) * contrast + mean + brightness * deviation

    return _coloured(sample, change)


def noise(sample: Sample, generator: np.random.Generator) -> Sample:
    """Gaussian noise of up to 5 % of each band's deviation."""

    def change(values: Tensor, valid: Tensor) -> Tensor:
        deviation = values[:, valid].std(1, correction=0)[:, None, None]
        drawn = torch.from_numpy(generator.standard_normal(values.shape).astype(np.float32))
        return values + drawn * deviation * generator.uniform(0, 0.05)

    return _coloured(sample, change)


_OPERATIONS: dict[str, Operation] = {"d4": d4, "flip": flip, "affine": affine, "colour": colour, "noise": noise}


def _moved(
    sample: Sample,
    images: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    mask: Callable[[Tensor], Tensor],
    place: Callable[[Tensor, Tensor, tuple[int, int]], tuple[Tensor, Tensor]],
) -> Sample:
    """The sample with every spatial part moved; boxes become the upright boxes around moved pixels, or corners.

    Args:
        sample: What is moved.
        images: Moves values `[N, C, h, w]` and their validity `[N, h, w]`.
        mask: Moves class indices `[h, w]`.
        place: Moves points, given the `(height, width)` that they lie in.
    """
    valid = sample["valid"]
    moved = {
        **sample,
        "image": _each_layer(sample["image"], lambda values: images(values[None], valid[None])[0][0]),
        "valid": images(valid[None, None].float(), valid[None])[1][0],
    }
    if "series" in sample:
        moved["series"] = {name: _moved_series(one, images) for name, one in sample["series"].items()}
    if "mask" in sample:
        moved["mask"] = torch.where(moved["valid"], mask(sample["mask"]), IGNORE)
    if "instance_masks" in sample:
        moved |= _moved_things(sample, moved["valid"], mask)
    elif "bbox_xyxy" in sample:
        boxes = sample["bbox_xyxy"].float()
        x, y = place(boxes[:, [0, 2, 0, 2]], boxes[:, [1, 1, 3, 3]], tuple(valid.shape))
        moved["bbox_xyxy"] = torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], 1) if len(boxes) else boxes
    return moved


def _moved_things(sample: Sample, valid: Tensor, mask: Callable[[Tensor], Tensor]) -> Sample:
    """What a patch holds of single things, moved, of those that keep a valid pixel."""
    masks = sample["instance_masks"]
    if len(masks):
        masks = torch.stack([mask(one.long()) == 1 for one in masks]) & valid
    kept = masks.flatten(1).any(1) if len(masks) else torch.zeros(0, dtype=torch.bool)
    rows, cols = masks[kept].any(2), masks[kept].any(1)
    height, width = valid.shape
    sides = [
        cols.int().argmax(1), rows.int().argmax(1),
        width - cols.flip(1).int().argmax(1), height - rows.flip(1).int().argmax(1),
    ] if kept.any() else []  # fmt: skip
    boxes = torch.stack(sides, 1).float() if sides else torch.zeros(0, 4)
    others = {key: sample[key][kept] for key in _THINGS if key in sample}
    return {"instance_masks": masks[kept], "bbox_xyxy": boxes, **others}


def _moved_series(series: Sample, images: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Sample:
    values, valid = images(series["values"], series["valid"])
    return {**series, "values": values, "valid": valid}


def _exactly(move: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A move that changes no number."""
    return lambda values, valid: (move(values), move(valid))


def _coloured(sample: Sample, change: Callable[[Tensor, Tensor], Tensor]) -> Sample:
    valid = sample["valid"]
    if not valid.any():
        return sample
    return {**sample, "image": _each_layer(sample["image"], lambda v: torch.where(valid, change(v, valid), v))}


def _each_layer(image: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return {name: change(v) for name, v in image.items()} if isinstance(image, dict) else change(image)


def _sample(batch: Sample, index: int) -> Sample:
    return {key: _sample(value, index) if isinstance(value, dict) else value[index] for key, value in batch.items()}


def _collated(samples: Sequence[Sample], ragged: set[str]) -> Sample:
    def join(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {name: join([v[name] for v in values]) for name in values[0]}
        return torch.stack(values)

    return {key: [s[key] for s in samples] if key in ragged else join([s[key] for s in samples]) for key in samples[0]}
