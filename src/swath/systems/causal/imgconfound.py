"""Effects in observational studies, adjusted for confounders that images show."""

from __future__ import annotations

from typing import Literal

from swath.causal.chip_net import NetTraining
from swath.errors import ConfigError
from swath.nn.chip_sequence import Aggregation, Backbone, sequence_encoder
from swath.registry import Card, register
from swath.tasks.confounding import Confounding


@register(
    Card(
        id="imgconfound",
        title="Integrating Earth Observation Data into Causal Inference: Challenges and Opportunities",
        year=2023,
        task="confounding",
        inputs="a table of units with treatment and outcome, and an image or a sequence of each unit's place",
        outputs="average effects, propensities, overlap, balance, and what of the image tells treatments",
        reference="arXiv:2301.12985",
        weights="None: a study learns from its own images.",
        baseline="difference in means, regression on covariates; for propensities the constant share and covariates",
        departures=(
            "The frozen way takes random filters of the image (Rolf et al. 2021) where the authors' package takes "
            "pretrained encoders, which cannot be downloaded here.",
            "The network is a small convolutional one, or a vision transformer of two blocks with patches of 8 pixels "
            "(16 in the package, which asks for larger chips). AdamW takes the place of AdaBelief, clipping by norm "
            "that of adaptive clipping.",
            "The strength of the ridge is the one with the least cross entropy; the package takes the largest area "
            "under the ROC curve, which gave 11 effective units of 1,257 on the Uganda trial.",
            "The bootstrap draws images with all of their units, where the package draws units; the strength of the "
            "ridge is chosen once, not for each draw. For networks it holds propensities fixed.",
            "The package announces a doubly robust estimator and does not use it; here it is computed, with outcome "
            "models that never saw the image.",
            "Drawing images, then a unit of each, changes how often treatment is seen: the logit is shifted back.",
        ),
        checks=(
            "P: Hajek and Horvitz-Thompson by hand; the ridge has the coefficients of scikit-learn on the same "
            "columns; doubly robust scores are econml's.",
            "R: fit, score and predict on the Uganda trial's published chips and on simulated studies.",
            "B: on the simulation of the authors' package, adjustment takes away most of the naive bias; images "
            "without information change nothing; no image is told by a model that saw it.",
            "H: coverage of 90 % intervals over 200 simulated studies, kernel sizes and resolutions on the page.",
        ),
    )
)
def imgconfound(
    way: Literal["frozen", "network"] = "frozen",
    features: int = 64,
    kernel: int = 3,
    folds: int = 5,
    backbone: Backbone = "convolutions",
    sequence: Aggregation = "stacked",
    width: int = 32,
    epochs: int = 60,
    batch: int = 32,
    learning_rate: float = 1e-3,
    orthogonalise: bool = False,
) -> Confounding:
    """Build the task.

    Args:
        way: `frozen`, a ridge logistic regression on random features of the image, or `network`, trained from pixels.
        features: Number of random filters.
        kernel: Their edge in pixels.
        folds: Of images; propensities of each come from the others.
        backbone: Of the network: `convolutions`, whose responses are averaged; `peaks`, of which the largest count; or
            a small vision `transformer`.
        sequence: How the network puts several dates together; see `swath.nn.chip_sequence`.
        width: Of the network's encoder.
        epochs: Passes over the images, of the network.
        batch: Images of a step.
        learning_rate: Peak.
        orthogonalise: Take covariates out of the outcome first.

    Raises:
        ConfigError: If an option makes no sense.
    """
    if way not in ("frozen", "network"):
        raise ConfigError("There is no such way to a propensity", got=way, expected="frozen or network")
    if folds < 2 or min(features, kernel, width, epochs, batch) < 1:
        raise ConfigError("There must be two folds, and one of all else", got=f"{folds} folds, {features} features")
    sequence_encoder(2, 1, width, backbone, sequence)
    return Confounding(
        way,
        (features, kernel),
        folds,
        lambda frames, bands: sequence_encoder(frames, bands, width, backbone, sequence),
        width,
        NetTraining(epochs, batch, learning_rate),
        orthogonalise,
    )
