"""All ways to analyse a trial side by side: a table of every choice, and what each factor does to the result.

Whoever looks at many analyses finds one that pleases. So none is left out, the tests are corrected for their number
(Holm 1979), and factors are weighed by a regression over all of them (the meta-regression of Jerzak et al.).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
import pandas as pd

from swath.causal.effect_fits import Plan, fit_effects, held_out_scores, unseen_effects
from swath.causal.representations import Representation
from swath.causal.targeting import rates
from swath.causal.units import Units
from swath.nn.chip_sequence import Fixed

#: What is compared; ways that need several frames or covariates are left out where there are none.
_KINDS = ("means", "random")
_HOWS: Mapping[bool, tuple[Fixed, ...]] = {
    False: ("last",),
    True: ("last", "mean", "concatenate", "difference", "mean_variance"),
}
_LEARNERS = ("ridge", "forest")


@dataclass(frozen=True)
class Choice:
    """One analysis.

    Attributes:
        inputs: `images`, `table` or `both`.
        representation: Of images; `none` of the table alone.
        aggregation: Of frames; likewise.
        learner: Of effects.
    """

    inputs: str
    representation: str
    aggregation: str
    learner: str


def columns_of(units: Units, inputs: str, representation: Representation) -> np.ndarray:
    """Columns of units with standardised images, `[units, columns]`."""
    parts = []
    if inputs != "table":
        parts.append(representation(units.images)[units.image_of])
    if inputs != "images":
        parts.append(units.covariates)
    return np.concatenate(parts, axis=1)


def possible(units: Units) -> Iterator[Choice]:
    """Every analysis that the units allow."""
    inputs = ("images", "both") if units.covariates.shape[1] else ("images",)
    hows = _HOWS[units.images.shape[1] > 1]
    for told, kind, how, learner in product(inputs, _KINDS, hows, _LEARNERS):
        yield Choice(told, kind, how, learner)
    if len(inputs) > 1:
        for learner in _LEARNERS:
            yield Choice("table", "none", "none", learner)


def every_choice(
    units: Units, plan: Plan, fold_of: np.ndarray, draws: int = 100, level: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    """A row for each possible analysis and each rank-weighted effect.

    Args:
        units: With no images but their own, standardised.
        plan: Of which all but the learner is kept.
        fold_of: Fold of each image, `[reshuffles, images]`.
        draws: Half samples of images.
        level: Of intervals.
        seed: Of fits and draws.

    Returns:
        Columns: the fields of `Choice`, `metric`, `value`, `error`, `low`, `high`, `ratio`, `p` and `p_holm`.
    """
    rows = []
    for choice in possible(units):
        how: Fixed = "last" if choice.inputs == "table" else choice.aggregation  # type: ignore[assignment]
        columns = columns_of(units, choice.inputs, Representation(choice.representation, how))
        chosen = Plan(choice.learner, plan.encoder, plan.width, plan.training)  # type: ignore[arg-type]
        told = unseen_effects(fit_effects(units, columns, chosen, fold_of, seed), units, columns)
        scores = held_out_scores(units, columns, fold_of)
        for metric, rate in rates(scores, told.priority, units.image_of, draws, level, seed).items():
            shown = {k: v for k, v in rate.plain().items() if k != "level"}
            rows.append({**{f.name: getattr(choice, f.name) for f in fields(choice)}, "metric": metric, **shown})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"].to_numpy()))


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for their number, so that the chance of any false one is kept (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def factors(
    table: pd.DataFrame, names: Sequence[str] = ("inputs", "representation", "aggregation", "learner", "metric")
) -> pd.DataFrame:
    """Least squares of the ratio on each factor's levels, beside the first of each.

    Errors are those of least squares over analyses. They share one sample, so these say how alike the analyses are, not
    how sure it is that another sample would show the same.

    Args:
        table: As `every_choice` gives it.
        names: Columns that are factors; those with one level are left out.

    Returns:
        Columns: `factor`, `level`, `effect` on the ratio, `error`; the first row is the mean of all.
    """
    varied = [name for name in names if table[name].nunique() > 1]
    columns, labels = [np.ones(len(table))], [("all", "first of each")]
    for name in varied:
        for value in list(dict.fromkeys(table[name]))[1:]:
            columns.append((table[name] == value).to_numpy(float))
            labels.append((name, str(value)))
    design, ratio = np.stack(columns, axis=1), table["ratio"].to_numpy()
    inverse = np.linalg.pinv(design.T @ design, hermitian=True)  # `none` of images goes with `table`
    values = inverse @ design.T @ ratio
    spare = max(len(ratio) - np.linalg.matrix_rank(design), 1)
    errors = np.sqrt(np.diag(inverse) * ((ratio - design @ values) ** 2).sum() / spare)
    return pd.DataFrame(
        [
            {"factor": f, "level": v, "effect": e, "error": s}
            for (f, v), e, s in zip(labels, values, errors, strict=True)
        ]
    )
