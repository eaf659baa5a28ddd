import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_cohen_kappa,
    multiclass_f1_score,
    multiclass_jaccard_index,
)

from swath.errors import DataError
from swath.metrics.confusion import Confusion, confusion_matrix, per_class, summary

K = 4


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    true = generator.integers(0, K, (30, 40))
    predicted = np.where(generator.random(true.shape) < 0.6, true, generator.integers(0, K, true.shape))
    return predicted, true


def test_matrix_by_hand() -> None:
    predicted, true = np.array([0, 1, 1, 1]), np.array([0, 0, 1, -1], np.int16)
    assert confusion_matrix(predicted, true, 2).tolist() == [[1, 1], [0, 1]]


def test_scores_are_those_of_torchmetrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, true = (torch.from_numpy(a) for a in pair)
    found = summary(confusion_matrix(*pair, K))
    assert found["miou"] == pytest.approx(float(multiclass_jaccard_index(predicted, true, K)))
    assert found["macro_f1"] == pytest.approx(float(multiclass_f1_score(predicted, true, K)))
    assert found["kappa"] == pytest.approx(float(multiclass_cohen_kappa(predicted, true, K)))
    assert found["accuracy"] == pytest.approx(float(multiclass_accuracy(predicted, true, K, average="micro")))


def test_per_class_scores_are_those_of_sklearn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, true = pair[0].ravel(), pair[1].ravel()
    found = per_class(confusion_matrix(predicted, true, K))
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(true, predicted)
    np.testing.assert_allclose(found["precision"], precision)
    np.testing.assert_allclose(found["recall"], recall)
    np.testing.assert_allclose(found["f1"], f1)


def test_absent_classes_are_left_out_of_means() -> None:
    """Class 2 occurs nowhere: IoU of 0 and 1 is 1/2 and 2/3 (1 of 2, 2 of 3), their mean 7/12."""
    matrix = confusion_matrix(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 1]), 3)
    assert np.isnan(per_class(matrix)["iou"][2])
    assert summary(matrix)["miou"] == pytest.approx(7 / 12)


def test_units_add_up(pair: tuple[np.ndarray, np.ndarray]) -> None:
    confusion = Confusion(K)
    for row, (predicted, true) in enumerate(zip(*pair, strict=True)):
        confusion.update(predicted, true, unit=row // 10)
    assert len(confusion.units) == 3
    np.testing.assert_array_equal(confusion.matrix, confusion_matrix(*pair, K))


def test_intervals_are_as_wide_as_the_binomial_says(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Pixels that are independent: the 90 % interval of a share p of n is 2 x 1.645 sqrt(p (1 - p) / n) wide."""
    confusion = Confusion(K)
    for unit, (predicted, true) in enumerate(zip(*(np.array_split(a.ravel(), 300) for a in pair), strict=True)):
        confusion.update(predicted, true, unit)
    share = summary(confusion.matrix)["accuracy"]
    low, high = confusion.intervals(summary, level=0.9, resamples=1000, seed=0)["accuracy"]
    assert low < share < high
    assert high - low == pytest.approx(2 * 1.645 * np.sqrt(share * (1 - share) / 1200), rel=0.15)


def test_one_unit_has_no_interval(pair: tuple[np.ndarray, np.ndarray]) -> None:
    confusion = Confusion(K)
    confusion.update(*pair)
    assert confusion.intervals(summary, level=0.95, resamples=10, seed=0)["kappa"] == (None, None)


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [([0, 4], [0, 1], "prediction holds"), ([0, 1], [0, 9], "truth holds"), ([0], [0, 1], "differ in shape")],
)
def test_bad_input_is_named(predicted: list[int], true: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        confusion_matrix(np.array(predicted), np.array(true), K)
