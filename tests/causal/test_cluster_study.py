"""Cross-fitting of image effect clusters and its checks on units that no fit saw."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from small_encoder import small_encoder
from swath.causal.cluster_fits import ClusterTraining, Posterior, draw_posterior
from swath.causal.cluster_study import calibration, cluster_effects, clustered_least_squares, cross_fit
from swath.causal.cluster_tables import image_table, study_table
from swath.causal.effect_clusters import ClusterOptions
from swath.errors import DataError
from swath.simulate.texture_trials import texture_trial

BRIEF = ClusterTraining(epochs=2, batch=16)
FOLDS = np.stack([np.arange(24) % 3, np.arange(24) // 8])


@pytest.fixture(scope="module")
def study():
    units, _ = texture_trial(24, size=8)
    return units, cross_fit(small_encoder, 16, units, FOLDS, ClusterOptions(2), BRIEF)


class TestCrossFit:
    def test_images_of_the_trial_are_told_by_fits_that_never_saw_them(self, study):
        units, fits = study
        found = fits.posterior(units.keys, units.images, draws=3, seed=5)
        assert found.effect.shape == (6, 24)
        assert found.probabilities.shape == (6, 24, 2)
        for image in (0, 7, 23):
            for repeat in (0, 1):
                number = repeat * 3 + FOLDS[repeat, image]
                alone = draw_posterior(fits.models[number], units.images, draws=3, seed=5 + number)
                np.testing.assert_array_equal(found.effect[3 * repeat : 3 * repeat + 3, image], alone.effect[:, image])
                np.testing.assert_array_equal(
                    found.probabilities[3 * repeat : 3 * repeat + 3, image], alone.probabilities[:, image]
                )

    def test_a_held_out_image_does_not_change_its_own_prediction(self, study):
        units, fits = study
        changed = replace(units, outcome=np.where(np.arange(24) == 5, units.outcome + 100, units.outcome))
        again = cross_fit(small_encoder, 16, changed, FOLDS, ClusterOptions(2), BRIEF)
        before, after = (f.posterior(units.keys, units.images, draws=2).effect for f in (fits, again))
        np.testing.assert_array_equal(before[:, 5], after[:, 5])
        assert (before[:, 6] != after[:, 6]).any()

    def test_other_images_are_told_by_all_fits(self, study):
        _, fits = study
        other, _ = texture_trial(5, seed=9, size=8)
        found = fits.posterior(np.array([f"elsewhere {i}" for i in range(5)]), other.images, draws=2)
        assert found.effect.shape == (12, 5)

    def test_both_at_once_are_refused(self, study):
        units, fits = study
        keys = units.keys[:5].astype("U20")
        keys[0] = "elsewhere"
        with pytest.raises(DataError, match="fitted"):
            fits.posterior(keys, units.images[:5])

    def test_units_keep_their_images_when_keys_are_not_sorted(self, study):
        units, fits = study
        back = np.arange(24)[::-1]
        found = fits.posterior(units.keys[back], units.images[back], draws=2).effect
        np.testing.assert_allclose(found[:, back], fits.posterior(units.keys, units.images, draws=2).effect, rtol=1e-5)


class TestHeldOut:
    def test_least_squares_agree_with_statsmodels(self):
        api = pytest.importorskip("statsmodels.api")
        random = np.random.default_rng(1)
        groups = random.integers(0, 30, 200)
        design = np.stack([np.ones(200), random.normal(size=200)], axis=1)
        outcome = design @ [1.0, 2.0] + random.normal(size=30)[groups] + random.normal(size=200)
        said = api.OLS(outcome, design).fit(cov_type="cluster", cov_kwds={"groups": groups})
        values, covariance = clustered_least_squares(outcome, design, groups)
        np.testing.assert_allclose(values, said.params)
        np.testing.assert_allclose(covariance, said.cov_params(), rtol=1e-9)

    def test_effects_of_sharp_clusters_are_their_mean_scores(self):
        scores, kind = np.array([1.0, 3.0, 10.0, 14.0]), np.array([0, 0, 1, 1])
        found = cluster_effects(scores, np.eye(2)[kind], np.arange(4))
        assert [estimate.value for estimate in found] == pytest.approx([2.0, 12.0])

    def test_clusters_that_nothing_tells_apart_have_no_effects(self):
        assert cluster_effects(np.arange(4.0), np.full((4, 2), 0.5), np.arange(4)) is None
        assert calibration(np.arange(4.0), np.ones(4), np.arange(4)) is None

    def test_calibration_is_one_of_true_effects_and_a_half_of_doubled_ones(self):
        random = np.random.default_rng(2)
        effect = random.normal(size=4000)
        scores = effect + random.normal(size=4000)
        assert calibration(scores, effect, np.arange(4000)).value == pytest.approx(1.0, abs=0.05)
        assert calibration(scores, 2 * effect, np.arange(4000)).value == pytest.approx(0.5, abs=0.03)


class TestTables:
    def test_a_row_tells_what_its_draws_say(self):
        effect = np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 0.0], [7.0, 4.0]])
        probability = np.array([[0.2, 0.9], [0.2, 0.9], [0.4, 0.9], [0.4, 0.9]])
        posterior = Posterior(
            np.full((4, 2), 10.0), effect, np.stack([1 - probability, probability], 2), np.ones((4, 2)), np.ones((4, 2))
        )
        table = image_table(posterior, np.array(["a", "b"]), reshuffles=2)
        row = table.iloc[0]
        assert (row["effect"], row["y0"], row["y1"], row["cluster"]) == (4.0, 10.0, 14.0, 1)
        assert row["effect_se"] == pytest.approx(np.std([2, 6], ddof=1) / np.sqrt(2))
        assert row["p2"] == pytest.approx(0.3)
        assert row["p2_sd"] == pytest.approx(0.1)
        assert table["cluster"].tolist() == [1, 2]

    def test_a_study_of_one_cluster_says_the_average_effect(self):
        units, _ = texture_trial(300, (1.0, 1.0), seed=3, size=1)
        units = replace(units, images=np.zeros_like(units.images))
        folds = np.arange(300)[None] % 3
        training = ClusterTraining(epochs=40)
        fits = cross_fit(lambda: nn.Flatten(), 3, units, folds, ClusterOptions(1), training)
        said = study_table(units, fits.posterior(units.keys, units.images))
        treated = units.treatment == 1
        raw = units.outcome[treated].mean() - units.outcome[~treated].mean()
        assert said["average_effect"] == pytest.approx(raw, abs=0.06)
        assert said["average_effect_doubly_robust"]["value"] == pytest.approx(raw, abs=0.06)
        assert said["clusters"][0]["share"] == pytest.approx(1.0)
        assert said["clusters"][0]["held_out"]["value"] == pytest.approx(raw, abs=0.06)
