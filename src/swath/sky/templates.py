"""Template fitting: the shapes of sources on a sharp picture, blurred to a band, explain the band together.

With templates P_i and noise s: A_ij = sum P_i P_j / s^2, B_i = sum I P_i / s^2, F = A^-1 B, sigma_i = (A^-1)_ii^(1/2)
(T-PHOT, Merlin et al. 2015). Sources that share no pixel are solved apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, ndimage, sparse
from scipy.sparse.csgraph import connected_components

from swath.sky.mosaics import Mosaic
from swath.sky.spread import convolved


@dataclass(frozen=True)
class Template:
    """The shape of a source.

    Attributes:
        stamp: Light of each pixel, for unit flux.
        row: Of its first pixel on the mosaic; may lie outside.
        col: Of its first pixel on the mosaic; may lie outside.
    """

    stamp: np.ndarray
    row: int
    col: int

    @property
    def middle(self) -> tuple[float, float]:
        """Row and column of the middle of the stamp."""
        return self.row + (self.stamp.shape[0] - 1) / 2, self.col + (self.stamp.shape[1] - 1) / 2


@dataclass(frozen=True)
class TemplateFit:
    """Fluxes of templates in a band.

    Attributes:
        flux: Microjansky, `[N]`; NaN where a template lies on no usable pixel.
        error: Standard deviation, `[N]`.
        covariance: The greatest |covariance| with another template, relative to the own variance, `[N]`.
        model: The sum of all templates at their fluxes, `[H, W]`.
    """

    flux: np.ndarray
    error: np.ndarray
    covariance: np.ndarray
    model: np.ndarray


def cut_out(values: np.ndarray, segments: np.ndarray, count: int, grow: int = 0) -> list[Template | None]:
    """The pixels of each source as a template; None for a source whose pixels hold no light.

    Args:
        values: The sharp picture, `[H, W]`.
        segments: Number of the source of each pixel from 1, `[H, W]`.
        count: Of sources.
        grow: By how many pixels sources reach out into what is nobody's.
    """
    if grow:
        distance, nearest = ndimage.distance_transform_edt(segments == 0, return_indices=True)
        segments = np.where(distance <= grow, segments[tuple(nearest)], 0)
    found: list[Template | None] = []
    for number, box in enumerate(ndimage.find_objects(segments, max_label=count), start=1):
        stamp = (
            np.zeros((0, 0)) if box is None else np.where(segments[box] == number, values[box].astype(np.float64), 0)
        )
        total = stamp.sum()
        # the sum of a source below the noise may be anything; its shape divided by that would be too
        usable = total > 0 and np.abs(stamp).sum() < 5 * total
        found.append(Template(stamp / total, box[0].start, box[1].start) if usable else None)
    return found


def blurred(template: Template, kernel: np.ndarray) -> Template:
    """A template convolved with a kernel; its stamp grows by the kernel's."""
    half = kernel.shape[0] // 2
    stamp = convolved(np.pad(template.stamp, half), kernel)
    return Template(stamp, template.row - half, template.col - half)


def moved(template: Template, dy: float, dx: float) -> Template:
    """A template shifted by parts of a pixel."""
    return Template(ndimage.shift(template.stamp, (dy, dx), order=3), template.row, template.col)


def fit_templates(templates: Sequence[Template], mosaic: Mosaic, *, background: bool = False) -> TemplateFit:
    """Fit the fluxes of all templates at once.

    Args:
        templates: Blurred to the band.
        mosaic: The band.
        background: Whether each group of overlapping sources has a constant of its own beneath it.
    """
    P = _design(templates, mosaic)
    weight = sparse.diags_array(1 / mosaic.rms.ravel().astype(np.float64))
    M = (weight @ P).tocsc()
    A = (M.T @ M).tocsr()
    b = M.T @ (mosaic.values.ravel() / mosaic.rms.ravel()).astype(np.float64)
    count = len(templates)
    flux, error, covariance = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count)
    groups, label = connected_components(A, directed=False)
    order = np.argsort(label, kind="stable")
    for members in np.split(order, np.searchsorted(label[order], np.arange(1, groups))):
        normal, right = A[members][:, members].toarray(), b[members]
        if background:
            normal, right = _with_constant(normal, right, M[:, members], mosaic)
        lit = np.flatnonzero(np.diag(normal) > 0)
        if not len(lit):
            continue
        found, inverse = _solve(normal[np.ix_(lit, lit)], right[lit])
        sources = lit < len(members)
        which = members[lit[sources]]
        found, inverse = found[sources], inverse[np.ix_(sources, sources)]
        variance = np.diag(inverse)
        flux[which], error[which] = found, np.sqrt(variance)
        others = np.abs(inverse) - np.diag(variance)
        covariance[which] = others.max(1) / variance
    model = (P @ np.nan_to_num(flux)).reshape(mosaic.values.shape)
    return TemplateFit(flux, error, covariance, model)


def local_shifts(mosaic: Mosaic, model: np.ndarray, cell: int = 128) -> np.ndarray:
    """By how much a band lies beside its model, cell by cell: `[rows, cols, 2]` of (dy, dx), pixels.

    Linear in the shift: what is left of the band is set against the gradients of the model. Cells whose sources give
    no shift within a pixel keep none.

    Args:
        mosaic: The band.
        model: What was fitted to it.
        cell: Edge of a cell, pixels.
    """
    down, right = np.gradient(model)
    left = np.where(mosaic.bad, 0, mosaic.values - model) / mosaic.rms
    down, right = (np.where(mosaic.bad, 0, g) / mosaic.rms for g in (down, right))
    rows, cols = (max(1, round(n / cell)) for n in model.shape)
    found = np.zeros((rows, cols, 2))
    for i, across in enumerate(np.array_split(np.arange(model.shape[0]), rows)):
        for j, along in enumerate(np.array_split(np.arange(model.shape[1]), cols)):
            at = np.s_[across[0] : across[-1] + 1, along[0] : along[-1] + 1]
            G = np.stack([down[at].ravel(), right[at].ravel()], 1).astype(np.float64)
            normal = G.T @ G
            if np.linalg.cond(normal) < 1e6 and np.diag(normal).min() > 100:  # better than a tenth of a pixel
                shift = -np.linalg.solve(normal, G.T @ left[at].ravel())
                found[i, j] = shift if np.abs(shift).max() < 1 else 0
    return found


def register(templates: Sequence[Template], shifts: np.ndarray, shape: tuple[int, ...]) -> list[Template]:
    """Templates moved by the shift of the cell that their middle lies in."""
    rows, cols = shifts.shape[:2]

    def cell(template: Template) -> np.ndarray:
        at = [int(np.clip(m * n / s, 0, n - 1)) for m, n, s in zip(template.middle, (rows, cols), shape, strict=True)]
        return np.asarray(shifts[tuple(at)])

    return [moved(t, *cell(t)) if np.abs(cell(t)).max() > 1e-3 else t for t in templates]


def fit_twice(templates: Sequence[Template], mosaic: Mosaic, *, background: bool = False) -> TemplateFit:
    """Fit, measure how far the band lies beside the model, move the templates there and fit again."""
    first = fit_templates(templates, mosaic, background=background)
    shifts = local_shifts(mosaic, first.model)
    if np.abs(shifts).max() < 1e-3:
        return first
    return fit_templates(register(templates, shifts, mosaic.values.shape), mosaic, background=background)


def _design(templates: Sequence[Template], mosaic: Mosaic) -> sparse.csc_array:
    """Light of each template in each usable pixel, `[H * W, N]`."""
    height, width = mosaic.values.shape
    places, lights, starts = [], [], [0]
    for t in templates:
        top, left = max(t.row, 0), max(t.col, 0)
        bottom, right = min(t.row + t.stamp.shape[0], height), min(t.col + t.stamp.shape[1], width)
        inside = np.s_[top : max(bottom, top), left : max(right, left)]
        light = t.stamp[top - t.row : max(bottom, top) - t.row, left - t.col : max(right, left) - t.col]
        usable = ~mosaic.bad[inside] & (light != 0)
        rows, cols = np.nonzero(usable)
        places.append((rows + top) * width + cols + left)
        lights.append(light[usable])
        starts.append(starts[-1] + len(rows))
    parts = (np.concatenate(lights or [np.zeros(0)]), np.concatenate(places or [np.zeros(0, int)]), np.array(starts))
    return sparse.csc_array(parts, shape=(height * width, len(templates)))


def _with_constant(
    normal: np.ndarray, right: np.ndarray, M: sparse.csc_array, mosaic: Mosaic
) -> tuple[np.ndarray, np.ndarray]:
    """The normal equations of a group with one more unknown: a constant beneath its pixels."""
    pixels = np.unique(M.indices)
    weight = np.zeros(M.shape[0])
    weight[pixels] = 1 / mosaic.rms.ravel()[pixels]
    column = M.T @ weight
    normal = np.block([[normal, column[:, None]], [column[None], np.array([[weight @ weight]])]])
    return normal, np.append(right, (weight**2 * mosaic.values.ravel()).sum())


def _solve(normal: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solution and inverse of normal equations; templates that are the same share their light."""
    scale = 1 / np.sqrt(np.diag(normal))
    scaled = normal * np.outer(scale, scale)
    try:
        inverse = linalg.cho_solve(linalg.cho_factor(scaled), np.eye(len(right)))
    except linalg.LinAlgError:
        inverse = linalg.pinvh(scaled)
    inverse *= np.outer(scale, scale)
    return inverse @ right, inverse
