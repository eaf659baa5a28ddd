"""Effect heterogeneity that image sequences tell in a randomised trial, and whether ranking by it is worth anything."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from swath.causal.chip_net import NetTraining
from swath.causal.effect_fits import Learner
from swath.causal.representations import Representation, frozen_encoder
from swath.errors import ConfigError
from swath.nn.chip_sequence import Aggregation, Backbone, Fixed, sequence_encoder
from swath.registry import Card, register
from swath.tasks.effect_ranking import Analysis, EffectRanking
from swath.tasks.weights import load_into, load_state


@register(
    Card(
        id="eohet_rct",
        title="Effect Heterogeneity with Earth Observation in Randomized Controlled Trials",
        year=2024,
        task="causal effects",
        inputs="CSV of units of a randomised trial, with treatment, outcome and place, and images of several dates",
        outputs="Effects of units with errors, rank-weighted effects, values of policies, map, every other analysis",
        reference="arXiv:2407.11674",
        weights="Encoders of timm by file, as timm saves them; a study learns the rest.",
        baseline="constant effect; T-learner on band means; k-means on embeddings; econml's causal forest on the page",
        departures=(
            "The learner is our own R-learner, by ridge, forest or network; the paper's causal forest is econml's on "
            "the page, as a baseline.",
            "Frozen features are of random filters or of a timm encoder; CLIP-RSICD, Clay and VideoMAE cannot be "
            "downloaded here. Without a file of weights a timm encoder is random.",
            "A transformer over frames is learned with the effects; the package freezes it.",
            "Effects are ranked less the mean of their fit: fits to other folds differ in level, which would count "
            "against a fold whose own effect is large.",
            "Errors of effects are by fits to parts of the images; the package gives none.",
            "Analyses that were not asked for are reported all, with p-values corrected for their number.",
        ),
        checks=(
            "P: targeting curves and areas as econml and a brute-force sum have them, to 1e-8; forests as "
            "scikit-learn's.",
            "R: fit, score and predict on simulated trials in several scenes, and on the Uganda trial.",
            "B: true priorities rank best, random ones give standard normal ratios, equal effects are not found; "
            "where trends make effects, changes of frames beat one frame and the level.",
            "H: power by the size of the encoder stands on the page.",
        ),
    )
)
def eohet_rct(
    learner: Learner = "ridge",
    inputs: Literal["images", "table", "both"] = "images",
    representation: str = "random",
    sequence: Aggregation = "difference",
    features: int = 64,
    kernel: int = 3,
    weights: Path | None = None,
    folds: int = 3,
    reshuffles: int = 4,
    backbone: Backbone = "convolutions",
    width: int = 16,
    epochs: int = 60,
    batch: int = 32,
    learning_rate: float = 3e-3,
) -> EffectRanking:
    """Build the task.

    Args:
        learner: Of effects: `ridge` or `forest` on frozen features; from pixels `network`, or `clusters` of images as
            imghet has them.
        inputs: What effects are told by: images, the covariates of the table, or both.
        representation: Frozen features: `means` and spreads of bands, responses to `random` filters, or an encoder of
            timm by its name. Learners from pixels expect outcomes by them.
        sequence: How images of several dates are put together; `stacked` and `transformer` for learners from pixels.
        features: Number of random filters.
        kernel: Their edge in pixels.
        weights: File of the timm encoder; None leaves it random.
        folds: Of images, of which each is told by fits to the others.
        reshuffles: How often images are divided anew; an error of effects needs two.
        backbone: Of learners from pixels: `convolutions`, whose responses are averaged; `peaks`, of which the largest
            count; or a small vision `transformer`.
        width: Of their encoder.
        epochs: Their passes over the images.
        batch: Their images of a step.
        learning_rate: Their peak.

    Raises:
        ConfigError: If an option makes no sense.
    """
    if learner not in get_args(Learner) or inputs not in ("images", "table", "both"):
        raise ConfigError("There is no such learner or input", got=f"{learner}, {inputs}", expected=get_args(Learner))
    if min(features, kernel, width, epochs, batch) < 1 or not learning_rate > 0:
        raise ConfigError("Counts and the learning rate must be positive", got=f"{features} features, width {width}")
    pixels = learner in ("network", "clusters")
    if pixels and inputs == "table":
        raise ConfigError("A table has no pixels to learn from", got=f"{learner}, {inputs}", fix="Take ridge or forest")
    if learner == "clusters" and inputs != "images":
        raise ConfigError("Clusters are of images alone", got=inputs, expected="images")
    if not pixels and sequence not in get_args(Fixed):
        raise ConfigError(
            "Frozen features cannot be put together so", got=sequence, expected=", ".join(get_args(Fixed)),
            fix="Take `--learner network`",
        )  # fmt: skip
    if weights is not None and representation in ("means", "random"):
        raise ConfigError("Weights are for an encoder of timm", got=representation)
    sequence_encoder(2, 1, width, backbone, sequence)
    how: Fixed = sequence if sequence in get_args(Fixed) else "concatenate"  # type: ignore[assignment]

    def frozen(bands: int) -> Representation:
        if representation in ("means", "random"):
            return Representation(representation, how, features, kernel)
        net = frozen_encoder(representation, bands)
        if weights is not None:
            load_into(net, load_state(weights), name=str(weights))
        return Representation("encoder", how, net=net)

    return EffectRanking(
        Analysis(
            learner,
            inputs,
            frozen,
            lambda frames, bands: sequence_encoder(frames, bands, width, backbone, sequence),
            width,
            NetTraining(epochs, batch, learning_rate),
            folds,
            reshuffles,
        )
    )
