"""Image effect clusters: against analytic cases, least squares and planted effects."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from small_encoder import small_encoder
from swath.causal.cluster_fits import ClusterTraining, draw_posterior, fit_clusters, salience
from swath.causal.effect_clusters import (
    ClusterOptions,
    Draw,
    EffectClusters,
    Scale,
    effect_variance,
    relaxed_one_hot,
)
from swath.errors import ConfigError, DataError
from swath.simulate.texture_trials import texture_trial

QUICK = ClusterTraining(epochs=60, learning_rate=1e-2)
LONGER = replace(QUICK, epochs=150)


def trial_of_values(count: int, effects=(0.0, 2.0), seed: int = 0, slope: float = 0.0):
    """A trial whose images are single pixels: the first band says the type, the second moves the outcome."""
    random = np.random.default_rng(seed)
    units, _ = texture_trial(count, effects, seed, size=1)
    kind, level = random.integers(0, 2, count), random.normal(size=count)
    images = np.stack([2.0 * kind - 1, level], axis=1).astype(np.float32)[:, None, :, None, None]
    gain = np.asarray(effects)[kind]
    outcome = slope * level + gain * units.treatment + random.normal(size=count)
    return replace(units, images=images, outcome=outcome), kind


def imbalanced_trial():
    """A trial whose difference in means is 0.9 off, by a chance imbalance of what the images show."""
    units, _ = trial_of_values(400, (1.0, 1.0), slope=3.0)
    units.images[:, 0, 1, 0, 0] += 0.3 * units.treatment
    return replace(units, outcome=units.outcome + 3.0 * 0.3 * units.treatment)


def flat_model(clusters: int = 2, variant: str = "paper") -> EffectClusters:
    torch.manual_seed(0)
    options = ClusterOptions(clusters, variant)
    return EffectClusters(nn.Flatten(), 4, options, Scale(mean=5.0, sd=2.0, effect=0.4, base=-0.2))


class TestModel:
    def test_permuting_clusters_leaves_effects_unchanged(self):
        model = flat_model()
        images = torch.randn(20, 1, 4, 1, 1).numpy()
        before = draw_posterior(model, images, draws=1500)
        with torch.no_grad():  # the logit of the second cluster, as seen from it as the first, has the other sign
            model.response.weight.mean.neg_()
            model.response.bias.neg_()
            for part in (model.effects, model.sd0, model.sd1, model.sd_effect):
                for values in (part.mean, part.raw_sd):
                    values.copy_(values.flip(0))
        after = draw_posterior(model, images, draws=1500, seed=1)
        np.testing.assert_allclose(after.effect.mean(0), before.effect.mean(0), atol=0.02)
        np.testing.assert_allclose(after.probabilities.mean(0), before.probabilities.mean(0), atol=0.02)
        np.testing.assert_allclose(after.effects.mean(0), before.effects.mean(0), atol=0.02)

    def test_relaxed_assignments_become_one_hot_as_the_temperature_falls(self):
        torch.manual_seed(0)
        logits = torch.tensor([0.0, 1.0, -1.0]).expand(20000, 3)
        cold = relaxed_one_hot(logits, 1e-3)
        assert (cold.max(dim=1).values > 0.999).float().mean() > 0.99
        np.testing.assert_allclose(cold.mean(0), logits[0].softmax(0), atol=0.015)
        assert relaxed_one_hot(logits, 1.0).max(dim=1).values.mean() < 0.9

    def test_one_cluster_is_certain(self):
        assert (relaxed_one_hot(torch.randn(5, 1), 1.0) == 1).all()

    def test_variance_of_a_units_effect_by_monte_carlo(self):
        random = np.random.default_rng(0)
        sd0, sd1, sd_effect = 0.7, 1.1, 0.5
        count = 400_000
        gain = random.normal(2.0, sd_effect, count)
        difference = (gain + random.normal(0, sd1, count)) - random.normal(0, sd0, count)
        said = effect_variance(*(torch.tensor(v) for v in (sd0, sd1, sd_effect)))
        assert difference.var() == pytest.approx(float(said), rel=0.01)

    def test_likelihood_of_one_cluster_is_that_of_normals(self):
        model = flat_model(clusters=1)
        draw = Draw(
            torch.tensor([0.3]), torch.zeros(1, 1), torch.tensor([0.5]), *(torch.tensor([v]) for v in (0.9, 0.8, 0.6))
        )
        outcome, treatment = torch.tensor([0.1, 1.7]), torch.tensor([0.0, 1.0])
        loss = model._draw_loss(draw, torch.tensor([0, 0]), treatment, outcome)
        logs = [-0.5 * ((0.1 - 0.3) / 0.9) ** 2 - np.log(0.9), -0.5 * (1.7 - 0.8) ** 2 - np.log(1.0)]
        assert float(loss) == pytest.approx(-np.mean(logs) + 0.5 * np.log(2 * np.pi), rel=1e-6)

    def test_release_loses_log_cosh(self):
        model = flat_model(clusters=1, variant="release")
        draw = Draw(torch.tensor([0.3]), torch.zeros(1, 1), torch.tensor([0.5]), *torch.ones(3, 1))
        away = np.array([0.1 - 0.3, 300.0 - 0.8])
        loss = model._draw_loss(draw, torch.tensor([0, 0]), torch.tensor([0.0, 1.0]), torch.tensor([0.1, 300.0]))
        assert float(loss) == pytest.approx((np.log(np.cosh(away[0])) + away[1] - np.log(2)) / 2, rel=1e-5)

    def test_divergence_counts_only_in_the_paper(self):
        images, place = torch.randn(6, 1, 4, 1, 1), torch.arange(6)
        treatment, outcome = torch.tensor([0.0, 1.0] * 3), torch.randn(6)
        for variant, counts in (("paper", True), ("release", False)):
            model = flat_model(variant=variant)
            torch.manual_seed(1)
            one = model.loss(images, place, treatment, outcome, total=1)
            torch.manual_seed(1)
            many = model.loss(images, place, treatment, outcome, total=10**9)
            divergence = float(model.divergence().detach())
            assert float((one - many).detach()) == pytest.approx(divergence * counts, rel=1e-4)
            assert divergence > 0

    @pytest.mark.parametrize(
        "wrong", [{"clusters": 0}, {"variant": "other"}, {"temperature": 0.0}, {"regularisation": -1.0}, {"draws": 0}]
    )
    def test_wrong_options(self, wrong):
        with pytest.raises(ConfigError):
            ClusterOptions(**wrong)


class TestFit:
    def test_one_cluster_is_the_difference_in_means_where_images_say_nothing(self):
        units, _ = trial_of_values(400, (1.0, 1.0))
        units = replace(units, images=np.zeros_like(units.images))
        found = draw_posterior(fit_clusters(nn.Flatten, 2, units, ClusterOptions(1), QUICK), units.images, draws=200)
        treated = units.treatment == 1
        said = units.outcome[treated].mean() - units.outcome[~treated].mean()
        assert found.effects.mean() == pytest.approx(said, abs=0.04)
        assert np.ptp(found.effect.mean(0)) < 1e-9
        assert found.effects.std() == pytest.approx(2 / np.sqrt(400), rel=0.4)

    def test_one_cluster_adjusts_for_what_images_say_of_outcomes(self):
        units = imbalanced_trial()
        found = draw_posterior(fit_clusters(nn.Flatten, 2, units, ClusterOptions(1), QUICK), units.images, draws=200)
        design = np.stack([np.ones(400), units.treatment, units.images[:, 0, 1, 0, 0]], axis=1)
        adjusted = np.linalg.lstsq(design, units.outcome, rcond=None)[0][1]
        treated = units.treatment == 1
        raw = units.outcome[treated].mean() - units.outcome[~treated].mean()
        assert abs(raw - adjusted) > 0.8
        assert found.effects.mean() == pytest.approx(adjusted, abs=0.1)

    def test_posterior_narrows_with_the_number_of_units(self):
        spread = []
        for count in (100, 1000):
            units, _ = trial_of_values(count)
            training = ClusterTraining(epochs=20_000 // count, learning_rate=1e-2)
            model = fit_clusters(nn.Flatten, 2, units, ClusterOptions(2), training)
            spread.append(draw_posterior(model, units.images, draws=200).effects.std(axis=0).mean())
        assert spread[1] < 0.5 * spread[0]

    def test_three_clusters_come_in_order(self):
        random = np.random.default_rng(3)
        units, _ = trial_of_values(500)
        kind = random.integers(0, 3, 500)
        images = np.eye(3, dtype=np.float32)[kind][:, None, :, None, None]
        outcome = np.array([3.0, -3.0, 0.0])[kind] * units.treatment + 0.5 * random.normal(size=500)
        units = replace(units, images=images, outcome=outcome)
        found = draw_posterior(
            fit_clusters(nn.Flatten, 3, units, ClusterOptions(3), replace(LONGER, mixed=0.0)), units.images
        )
        np.testing.assert_allclose(found.effects.mean(axis=0), [-3, 0, 3], atol=0.3)
        assert (found.probabilities.mean(axis=0).argmax(axis=1) == np.array([2, 0, 1])[kind]).mean() > 0.95

    def test_regularisation_pulls_to_the_difference_in_means(self):
        units = imbalanced_trial()
        treated = units.treatment == 1
        raw = units.outcome[treated].mean() - units.outcome[~treated].mean()
        away = []
        for weight in (0.0, 10.0):
            model = fit_clusters(nn.Flatten, 2, units, ClusterOptions(2, regularisation=weight), QUICK)
            away.append(abs(draw_posterior(model, units.images, draws=200).effect.mean() - raw))
        assert away[0] > 0.7
        assert away[1] < 0.2

    def test_units_of_an_image_share_its_cluster_and_seeds_repeat(self):
        units, _ = trial_of_values(40)
        units = replace(units, image_of=np.repeat(np.arange(20), 2))
        first, second = (fit_clusters(nn.Flatten, 2, units, ClusterOptions(2), QUICK, seed=7) for _ in range(2))
        posteriors = [draw_posterior(model, units.images[:20]).effect for model in (first, second)]
        np.testing.assert_array_equal(*posteriors)

    @pytest.mark.parametrize("variant", ["release", "tarnet"])
    def test_other_variants_find_planted_effects(self, variant):
        units, kind = trial_of_values(400)
        model = fit_clusters(nn.Flatten, 2, units, ClusterOptions(2, variant), LONGER)
        effect = draw_posterior(model, units.images).effect.mean(axis=0)
        for one in (0, 1):
            treated, rest = ((kind == one) & (units.treatment == arm) for arm in (1, 0))
            said = units.outcome[treated].mean() - units.outcome[rest].mean()
            assert effect[kind == one].mean() == pytest.approx(said, abs=0.3)


class TestBadInput:
    def test_one_arm(self):
        units, _ = trial_of_values(20)
        with pytest.raises(DataError, match="both arms"):
            fit_clusters(nn.Flatten, 2, replace(units, treatment=np.ones(20)), ClusterOptions(2))

    def test_outcomes_without_number(self):
        units, _ = trial_of_values(20)
        units.outcome[3] = np.nan
        with pytest.raises(DataError, match="not finite"):
            fit_clusters(nn.Flatten, 2, units, ClusterOptions(2))

    def test_equal_outcomes(self):
        units, _ = trial_of_values(20)
        with pytest.raises(DataError, match="equal"):
            fit_clusters(nn.Flatten, 2, replace(units, outcome=np.full(20, 3.0)), ClusterOptions(2))

    def test_more_clusters_than_images(self):
        units, _ = trial_of_values(20)
        with pytest.raises(DataError, match="more clusters than images"):
            fit_clusters(nn.Flatten, 2, units, ClusterOptions(21))


class TestTextures:
    def test_recovers_types_effects_and_carries_them_elsewhere(self):
        from sklearn.metrics import roc_auc_score

        units, _ = texture_trial(600, seed=1)
        model = fit_clusters(small_encoder, 16, units, ClusterOptions(2), QUICK)
        elsewhere, kind = texture_trial(400, seed=101, share=0.2)
        found = draw_posterior(model, elsewhere.images)
        np.testing.assert_allclose(found.effects.mean(axis=0), [0, 2], atol=0.3)
        effect = found.effect.mean(axis=0)
        assert roc_auc_score(kind, found.probabilities.mean(axis=0)[:, 1]) > 0.9
        assert np.sqrt(np.mean((effect - 2.0 * kind) ** 2)) < 0.5  # one effect for all is 1.0 wrong
        assert effect.mean() == pytest.approx(2 * kind.mean(), abs=0.25)
        shown = np.abs(salience(model, elsewhere.images[:8]))
        assert shown.shape == elsewhere.images[:8].shape
        assert shown.max() > 0

    def test_no_heterogeneity_is_not_invented(self):
        units, _ = texture_trial(600, (1.0, 1.0), seed=2)
        found = draw_posterior(fit_clusters(small_encoder, 16, units, ClusterOptions(2), QUICK), units.images[:50])
        apart = found.effects[:, 1] - found.effects[:, 0]
        assert apart.mean() < 2 * apart.std()
