"""Image-based treatment effect heterogeneity: clusters of images whose units respond alike in a randomised trial."""

from __future__ import annotations

from typing import Literal

from swath.causal.cluster_fits import ClusterTraining
from swath.causal.effect_clusters import ClusterOptions
from swath.nn.chip_encoder import chip_encoder
from swath.registry import Card, register
from swath.tasks.effect_clusters import EffectClustering


@register(
    Card(
        id="imghet",
        title="Image-based Treatment Effect Heterogeneity",
        year=2023,
        task="causal effects",
        inputs="CSV of units of a randomised trial, with treatment, outcome and place, and images of the places",
        outputs="Cluster effects with posterior, table of images with effects and probabilities, map of a scene",
        reference="arXiv:2206.06417",
        baseline="constant effect; T-learner on band means; k-means on embeddings, then a difference in means",
        departures=(
            "Any number of clusters; the release's getters are made for two.",
            "The encoder has no posterior; the weights of both heads, cluster effects and spreads have one.",
            "All units of an image are in one step and share its cluster; the release draws one unit of an image.",
            "Clusters are ordered by their effect in each fit, so that labels mean the same in all.",
            "Variant `release` keeps its log-cosh loss, starts and KL weight 0, in which no spread is learned.",
            "Our choice: effects of clusters and calibration are also measured on units that no fit saw.",
            "Our choice: priors are N(difference in means, 1) for effects and N(0, 1 / width) for weights.",
            "Our choice: for the first 30 % of steps assignments are their probabilities, lest clusters fall together.",
            "AdamW with warm-up and cosine; the release has AdaBelief with adaptive clipping.",
        ),
        checks=(
            "P: likelihoods, losses and the variance of an effect by hand and Monte Carlo; statsmodels' least squares.",
            "R: beats a constant effect, band means and k-means on a simulated trial; fitted to the Uganda trial.",
            "B: one cluster is the adjusted difference in means; labels, temperature, seeds; narrower with more units.",
            "H: means of clusters, type AUC, error of effects and posterior width on the page.",
        ),
    )
)
def imghet(
    clusters: int = 2,
    variant: Literal["paper", "release", "tarnet"] = "paper",
    temperature: float = 1.0,
    regularisation: float = 0.0,
    folds: int = 3,
    reshuffles: int = 2,
    orthogonalise: bool = False,
    width: int = 16,
    epochs: int = 100,
    batch: int = 64,
    learning_rate: float = 1e-2,
) -> EffectClustering:
    """Build the task.

    Args:
        clusters: How many.
        variant: `paper`, the probabilistic model by its evidence lower bound; `release`, the simpler model of the
            authors' package; `tarnet`, an effect for each image in place of clusters.
        temperature: Of the relaxed assignments to clusters.
        regularisation: Weight of the distance between the implied average effect and the difference in means.
        folds: Of images, of which each is told by fits to the others.
        reshuffles: How often images are divided anew.
        orthogonalise: Take covariates out of the outcome first.
        width: Of the image encoder.
        epochs: Passes over the images in each fit.
        batch: Images of a step.
        learning_rate: Peak, of heads and clusters; 0.3 of it of the encoder.

    Raises:
        ConfigError: If an option makes no sense.
    """
    return EffectClustering(
        ClusterOptions(clusters, variant, temperature, regularisation=regularisation),
        ClusterTraining(epochs, batch, learning_rate),
        lambda frames, bands: chip_encoder(frames * bands, width),
        width,
        folds,
        reshuffles,
        orthogonalise,
    )
