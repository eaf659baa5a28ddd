"""What image sequences tell of effects, on simulated trials whose effect is a place's growth.

    OMP_NUM_THREADS=1 python -m benchmarks.effect_ranking PART [TRIALS]

A trial has 400 images of 4 dates, 16 x 16 pixels, one unit each, effects 1 + growth, noise of sd 1; frozen features are
of 32 random filters, folds 3. `sequence`: AUTOC over its error by how dates are put together; `econml`: of its causal
forest, a baseline; `network`: of learners from pixels. `inputs`: images, a table, or both, where both make the effect.
`null`: how often a ratio beyond 2 is found where all effects are equal, 150 images. `power`: how often a ratio above
1.96 is found, by the number of filters, in trials of 300 images whose effect follows growth half as much, as a table
and as `power.png`. `errors`: how often the true effect lies in the 90 % interval of its prediction.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from swath.causal.chip_net import NetTraining
from swath.causal.choices import columns_of
from swath.causal.effect_fits import Plan, fit_effects, held_out, held_out_scores, unseen_effects
from swath.causal.folds import FoldFits, reshuffled_folds, rests
from swath.causal.representations import Representation
from swath.causal.standard import Standard
from swath.causal.targeting import rates
from swath.causal.units import Units
from swath.nn.chip_sequence import sequence_encoder
from swath.simulate.sequence_trials import sequence_trial

_WAYS = ("last", "mean", "concatenate", "difference", "mean_variance")


def standard(images: int, seed: int, **trial: float) -> Units:
    """Units of a trial, standardised."""
    units, _ = sequence_trial(images, seed, **trial)  # type: ignore[arg-type]
    return Standard.of(units)(units)


def ratio(
    units: Units, seed: int, how: str = "difference", learner: str = "ridge", inputs: str = "images", filters: int = 32
) -> float:
    """AUTOC over its error."""
    fixed = how if how in _WAYS else "concatenate"
    columns = columns_of(units, inputs, Representation("random", fixed, filters))  # type: ignore[arg-type]
    fold_of = reshuffled_folds(len(units.keys), 3, 1, seed)
    seen = units if inputs == "both" else replace(units, covariates=units.covariates[:, :0])
    if learner == "econml":
        told = held_out(*econml_forest(units, columns, fold_of, seed), units)
    else:
        make = lambda: sequence_encoder(4, 2, 16, "convolutions", how)  # noqa: E731
        plan = Plan(learner, make, 16, NetTraining(40, 32, 3e-3))  # type: ignore[arg-type]
        told = unseen_effects(fit_effects(seen, columns, plan, fold_of, seed), seen, columns)
    scores = held_out_scores(units, columns, fold_of)
    return rates(scores, told.priority, units.image_of, 100, seed=seed)["autoc"].ratio


def econml_forest(
    units: Units, columns: np.ndarray, fold_of: np.ndarray, seed: int
) -> tuple[FoldFits[None], np.ndarray]:
    """Effects by econml's causal forest (Athey, Tibshirani & Wager 2019) fitted to the rest of each fold.

    Outcomes are expected by ridge regressions as ours are, and treatment, drawn by lot, by its share.
    """
    from econml.dml import CausalForestDML
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import RidgeCV

    treatment, outcome = units.studied()
    told = []
    for rest in rests(fold_of):
        chosen = rest[units.image_of]
        forest = CausalForestDML(
            model_y=RidgeCV(np.logspace(-1, 4, 11)),
            model_t=DummyClassifier(),
            discrete_treatment=True,
            n_estimators=200,
            n_jobs=1,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            forest.fit(outcome[chosen], treatment[chosen], X=columns[chosen])
            told.append(forest.effect(columns).ravel())
    order = np.argsort(units.keys)
    return FoldFits([None] * len(told), units.keys[order], fold_of[:, order]), np.stack(told)


def say(name: str, found: Callable[[int], float], trials: int) -> np.ndarray:
    """Print the ratios of some trials."""
    ratios = np.array([found(seed) for seed in range(trials)])
    error = ratios.std(ddof=1) / len(ratios) ** 0.5
    print(
        f"{name:34} ratio {ratios.mean():5.2f} +- {error:.2f}, above 1.96 {(ratios > 1.96).mean():.2f}, "
        f"beyond 2 {(np.abs(ratios) > 2).mean():.3f}",
        flush=True,
    )
    return ratios


def power(trials: int) -> None:
    """Print and draw how often heterogeneity is detected, by the size of the encoder."""
    from matplotlib.figure import Figure

    sizes, shares = (1, 2, 4, 8, 16, 32, 64), []
    for count in sizes:
        found = say(f"{count} filters", lambda s, n=count: ratio(standard(300, s, trend=0.5), s, filters=n), trials)
        shares.append(float((found > 1.96).mean()))
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axis = figure.subplots()
    parameters, share = np.array(sizes) * 18, np.array(shares)
    error = np.sqrt(share * (1 - share) / trials)
    axis.errorbar(parameters, share, yerr=1.645 * error, fmt="o-", capsize=3, color="#2b6cb0")
    axis.axhline(0.025, color="grey", linewidth=0.6, linestyle="--")
    axis.set_xscale("log", base=2)
    axis.set_xticks(parameters, [str(n) for n in parameters])
    axis.set(xlabel="parameters of the frozen encoder", ylabel="share of trials with ratio above 1.96", ylim=(0, 1))
    figure.savefig("power.png", dpi=110)


def errors(trials: int) -> None:
    """Print coverage of the interval of each unit's effect by the table, where the model is right, and by images."""
    for name, inputs in (("table", "table"), ("images", "images")):
        covered, spread = [], []
        for seed in range(trials):
            trend = {"trend": 0.0, "table": 1.0} if inputs == "table" else {"trend": 1.0}
            units, true = sequence_trial(400, seed, **trend)  # type: ignore[arg-type]
            units = Standard.of(units)(units)
            columns = columns_of(units, inputs, Representation("random", "difference", 32))
            fold_of = reshuffled_folds(400, 2, 6, seed)
            plan = Plan("ridge", lambda: None, 1, NetTraining())  # type: ignore[arg-type, return-value]
            told = unseen_effects(fit_effects(units, columns, plan, fold_of, seed), units, columns)
            covered.append((np.abs(told.effect - true) < 1.645 * told.sd).mean())
            spread.append(float(told.sd.mean()))
        print(f"{name:10} coverage {np.mean(covered):.3f}, mean standard error {np.mean(spread):.3f}", flush=True)


def main(part: str, trials: int) -> None:
    """Print a part."""
    if part == "sequence":
        for how in _WAYS:
            say(f"ridge, {how}", lambda s, how=how: ratio(standard(400, s), s, how), trials)
        say("forest, difference", lambda s: ratio(standard(400, s), s, "difference", "forest"), trials)
    elif part == "econml":
        say("econml, difference", lambda s: ratio(standard(400, s), s, "difference", "econml"), trials)
    elif part == "network":
        for how in ("last", "difference", "transformer"):
            say(f"network, {how}", lambda s, how=how: ratio(standard(400, s), s, how, "network"), trials)
    elif part == "inputs":
        for told in ("images", "table", "both"):
            say(told, lambda s, told=told: ratio(standard(400, s, table=1.0), s, inputs=told), trials)
    elif part == "null":
        for learner, how in (("ridge", "difference"), ("ridge", "last"), ("forest", "difference")):
            trial = {"trend": 0.0, "size": 8}
            say(
                f"{learner}, {how}",
                lambda s, k=learner, how=how: ratio(standard(150, s, **trial), s, how, k, filters=16),  # noqa: B023
                trials,
            )
    elif part == "power":
        power(trials)
    else:
        errors(trials)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20)
