"""Image effect clusters: groups of images whose units respond alike to a treatment, with a posterior.

After Jerzak, Johansson & Daoud, "Image-based Treatment Effect Heterogeneity" (CLeaR 2023, arXiv:2206.06417). With image
`M`, cluster `Z` and outcomes `Y(0)`, `Y(1)`:

    Z | M ~ Categorical(softmax g(M))
    Y(0) | M, Z = z ~ N(m0(M), s0_z^2)
    Y(1) = m0(M) + tau + e1,  tau | Z = z ~ N(mu_z, st_z^2),  e1 | Z = z ~ N(0, s1_z^2)

so that an image's units respond by `mu_z` on average. `m0` and `g` are heads on one image encoder. Treatment must be
as good as random: the model does not adjust for confounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from swath.errors import ConfigError

Variant = Literal["paper", "release", "tarnet"]


@dataclass(frozen=True)
class ClusterOptions:
    """How image effect clusters are modelled.

    Attributes:
        clusters: How many; one leaves an average effect with prognostic adjustment. `tarnet` has none.
        variant: `paper`, the model above by its evidence lower bound; `release`, the authors' package: log-cosh loss
            of the mean alone and no prior; `tarnet`, the same with an effect for each image in place of clusters.
        temperature: Of the relaxed one-hot assignments; towards 0 they become one-hot.
        draws: Of the posterior for each step of training.
        regularisation: Weight of the distance between the implied average effect and the difference of the arms'
            means, in standard deviations of the outcome.
    """

    clusters: int = 2
    variant: Variant = "paper"
    temperature: float = 1.0
    draws: int = 2
    regularisation: float = 0.0

    def __post_init__(self) -> None:
        if self.variant not in ("paper", "release", "tarnet"):
            raise ConfigError("There is no such variant", got=self.variant, expected="paper, release or tarnet")
        if self.clusters < 1 or self.draws < 1:
            raise ConfigError(
                "`clusters` and `draws` must be positive", got=f"{self.clusters} and {self.draws}", expected="1 or more"
            )
        if not self.temperature > 0 or not self.regularisation >= 0:
            raise ConfigError(
                "`temperature` must be positive and `regularisation` not negative",
                got=f"{self.temperature} and {self.regularisation}",
            )


@dataclass(frozen=True)
class Scale:
    """What standardises outcomes, and the difference of the arms' means that the model starts from.

    Attributes:
        mean: Of the outcome.
        sd: Of the outcome.
        effect: Difference in means of the arms, in `sd`.
        base: Mean outcome without treatment, standardised.
    """

    mean: float
    sd: float
    effect: float
    base: float


class Draw(NamedTuple):
    """One draw of the parameters, in standard deviations of the outcome.

    Attributes:
        base: Outcome expected without treatment, `[images]`.
        logits: Of the clusters, `[images, clusters]`; of `tarnet` zeros for one cluster.
        effects: Of the clusters, `[clusters]`; of `tarnet` an effect for each image, `[images, 1]`.
        sd0: Of the outcome without treatment, `[clusters]`.
        sd1: With treatment, besides that of the effect, `[clusters]`.
        sd_effect: Of the effect within a cluster, `[clusters]`; only its sum of squares with `sd1` shows in data.
    """

    base: Tensor
    logits: Tensor
    effects: Tensor
    sd0: Tensor
    sd1: Tensor
    sd_effect: Tensor


class Normals(nn.Module):
    """Independent normals that are learned, beside the normal prior that they are held to."""

    def __init__(self, mean: Tensor, sd: float, prior_mean: Tensor | float, prior_sd: float) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean.clone())
        self.raw_sd = nn.Parameter(torch.full_like(mean, _softplus_inverse(sd)))
        self.register_buffer("prior_mean", torch.as_tensor(prior_mean, dtype=mean.dtype).expand_as(mean).clone())
        self.prior_sd = prior_sd

    def sample(self) -> Tensor:
        """One draw, through which gradients flow."""
        return self.mean + functional.softplus(self.raw_sd) * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """From the prior, in nats."""
        prior_mean: Tensor = self.get_buffer("prior_mean")
        learned = Normal(self.mean, functional.softplus(self.raw_sd))
        return kl_divergence(learned, Normal(prior_mean, self.prior_sd)).sum()


class Head(nn.Module):
    """A hidden layer, then a linear one with a posterior over its weights and a bias."""

    def __init__(self, width: int, outputs: int, bias: float, sd: float) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.weight = Normals(torch.randn(outputs, width) * 0.1 / width**0.5, sd, 0.0, width**-0.5)
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, features: Tensor) -> Tensor:
        """Outputs `[images, outputs]` of one draw of the weights, the same for all images."""
        return functional.linear(self.hidden(features), self.weight.sample(), self.bias)


class EffectClusters(nn.Module):
    """The model over an encoder that makes `[images, width]` of images.

    Args:
        encoder: Network from images to features.
        width: Number of features.
        options: Of the model.
        scale: Of the outcomes.
    """

    #: Prior sd of a cluster's effect around the average effect, in sd of the outcome.
    _EFFECT_PRIOR_SD = 1.0
    #: Prior median of the noise of an outcome and of the effect within a cluster, likewise.
    _NOISE, _EFFECT_NOISE = 0.9, 0.3

    def __init__(self, encoder: nn.Module, width: int, options: ClusterOptions, scale: Scale) -> None:
        super().__init__()
        self.encoder, self.options, self.scale = encoder, options, scale
        tarnet, count = options.variant == "tarnet", 1 if options.variant == "tarnet" else options.clusters
        start = 0.05 if options.variant == "paper" else 1e-5
        self.base = Head(width, 1, scale.base, start)
        outputs = 1 if tarnet else count - 1
        self.response = Head(width, outputs, scale.effect if tarnet else 0.0, start) if outputs else None
        steps = torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)
        apart = 0.5 if options.variant == "paper" else 0.01 * max(0.01, abs(scale.effect))
        self.effects = Normals(scale.effect + apart * steps, start, scale.effect, self._EFFECT_PRIOR_SD)
        self.sd0, self.sd1, self.sd_effect = (
            Normals(torch.full((count,), middle), start, middle, 0.5)
            for middle in map(_softplus_inverse, (self._NOISE, self._NOISE, self._EFFECT_NOISE))
        )

    def forward(self, images: Tensor) -> Draw:
        """One draw of the parameters, applied to images."""
        return self.draw(self.encoder(images))

    def draw(self, features: Tensor) -> Draw:
        """One draw of the parameters, applied to features; the same parameters for all images."""
        base = self.base(features)[:, 0]
        fixed = features.new_zeros(len(features), 1)
        told = features.new_zeros(len(features), 0) if self.response is None else self.response(features)
        spreads = (functional.softplus(part.sample()) for part in (self.sd0, self.sd1, self.sd_effect))
        if self.options.variant == "tarnet":
            return Draw(base, fixed, told, *spreads)
        logits = torch.cat([fixed, told], dim=1)
        return Draw(base, logits, self.effects.sample(), *spreads)

    def loss(
        self,
        images: Tensor,
        image_of: Tensor,
        treatment: Tensor,
        outcome: Tensor,
        total: int,
        relaxed: bool = True,
    ) -> Tensor:
        """Mean loss of units.

        Args:
            images: Whatever the encoder takes.
            image_of: Index of the image of each unit.
            treatment: 0 or 1 of each unit.
            outcome: Standardised, of each unit.
            total: How many units there are beyond the batch, by which the divergence from the prior is divided.
            relaxed: Whether assignments are drawn; else they are their probabilities.
        """
        features = self.encoder(images)
        terms = [
            self._draw_loss(self.draw(features), image_of, treatment, outcome, relaxed)
            for _ in range(self.options.draws)
        ]
        loss = torch.stack(terms).mean()
        return loss + self.divergence() / total if self.options.variant == "paper" else loss

    def divergence(self) -> Tensor:
        """Of all learned normals from their priors, in nats."""
        return torch.stack([part.divergence() for part in self.modules() if isinstance(part, Normals)]).sum()

    def _draw_loss(
        self, draw: Draw, image_of: Tensor, treatment: Tensor, outcome: Tensor, relaxed: bool = True
    ) -> Tensor:
        assigned = relaxed_one_hot(draw.logits, self.options.temperature) if relaxed else draw.logits.softmax(dim=1)
        effect = (assigned * draw.effects).sum(dim=1)
        mean = draw.base[image_of] + treatment * effect[image_of]
        if self.options.variant == "paper":
            sd1 = (draw.sd1**2 + draw.sd_effect**2).sqrt()
            sd = torch.where(treatment == 1, (assigned @ sd1)[image_of], (assigned @ draw.sd0)[image_of])
            loss = -Normal(mean, sd).log_prob(outcome).mean()
        else:
            away = (mean - outcome).abs()
            loss = (away + functional.softplus(-2 * away) - 0.6931471805599453).mean()  # log cosh, without overflow
        if self.options.regularisation:
            loss = loss + self.options.regularisation * (effect[image_of].mean() - self.scale.effect).abs()
        return loss


def relaxed_one_hot(logits: Tensor, temperature: float) -> Tensor:
    """A draw from relaxed one-hot distributions (Maddison et al. 2017; Jang et al. 2017), `[..., clusters]`."""
    if logits.shape[-1] == 1:
        return torch.ones_like(logits)
    return functional.gumbel_softmax(logits, temperature)


def effect_variance(sd0: Tensor, sd1: Tensor, sd_effect: Tensor) -> Tensor:
    """Variance of `Y(1) - Y(0)` of a unit of a cluster: both outcomes' noise and that of the effect."""
    return sd0**2 + sd1**2 + sd_effect**2


def _softplus_inverse(value: float) -> float:
    return float(torch.log(torch.expm1(torch.tensor(value, dtype=torch.float64))))
