"""Frozen features of sequences."""

import numpy as np
import pytest
import torch

from swath.causal.representations import Representation, encoded, frozen_encoder, random_features
from swath.errors import ConfigError
from swath.simulate.sequence_trials import sequence_trial


@pytest.fixture(scope="module")
def images():
    return sequence_trial(12, 0, frames=3, size=8)[0].images


def test_means_and_spreads_by_hand(images):
    told = Representation("means", "concatenate")(images).reshape(12, 3, 4)
    np.testing.assert_allclose(told[:, 1, :2], images[:, 1].mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(told[:, 1, 2:], images[:, 1].std(axis=(2, 3)), rtol=1e-5)


def test_each_frame_is_told_by_the_same_filters(images):
    told = Representation("random", "concatenate", 5)(images).reshape(12, 3, 5)
    np.testing.assert_allclose(told[:, 2], random_features(images[:, 2:], 5), rtol=1e-6)
    still = Representation("random", "difference", 5)(images[:, [0, 0, 0]])
    assert (still[:, 5:] == 0).all()
    assert (still[:, :5] == Representation("random", "last", 5)(images[:, :1])).all()


def test_encoders_are_seeded_and_do_not_learn(images):
    one, again, other = (frozen_encoder("test_resnet", 2, seed) for seed in (0, 0, 1))
    told = [encoded(net, images[:, 0]) for net in (one, again, other)]
    np.testing.assert_array_equal(told[0], told[1])
    assert not np.allclose(told[0], told[2])
    assert not any(p.requires_grad for p in one.parameters())


def test_encoders_of_one_size_get_it(images):
    class Picky(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pretrained_cfg = {"input_size": (2, 40, 40), "fixed_input_size": True}

        def forward(self, images):
            assert images.shape[-2:] == (40, 40)
            return images.mean(dim=(2, 3))

    assert encoded(Picky(), images[:, 0]).shape == (12, 2)


def test_an_encoder_that_gives_maps_is_refused(images):
    with pytest.raises(ConfigError, match="no vector"):
        encoded(torch.nn.Conv2d(2, 3, 3), images[:, 0])
