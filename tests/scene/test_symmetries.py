"""The mean over eight symmetries, of models that do and do not care which way is up."""

import torch

from swath.scene.symmetries import through_symmetries


def batch(size=6):
    values = torch.arange(2 * size * size, dtype=torch.float32).reshape(1, 2, size, size)
    valid, dates = torch.ones(1, 3, 4, 4, dtype=torch.bool), torch.tensor([[1, 2, 3]])
    return {
        "image": {"a": values}, "valid": torch.ones(1, size, size, dtype=torch.bool),
        "series": {"s": {"values": torch.randn(1, 3, 2, 4, 4), "valid": valid, "dates": dates}},
        "window": torch.tensor([[0, 1, size, size]]),
    }  # fmt: skip


def test_a_model_of_single_pixels_stays_as_it_is():
    def model(b):
        return b["image"]["a"] ** 2

    torch.testing.assert_close(through_symmetries(model)(batch()), model(batch()))


def test_what_a_model_says_of_a_direction_is_averaged():
    def rows(b):
        height, width = b["valid"].shape[-2:]
        return torch.arange(float(height))[:, None].expand(1, 1, height, width)

    found = through_symmetries(rows)(batch())
    torch.testing.assert_close(found, torch.full((1, 1, 6, 6), 2.5))


def test_series_turn_with_the_images_and_dates_stay():
    seen = []

    def model(b):
        one = b["series"]["s"]
        seen.append((one["values"][0, 0, 0].flatten().tolist(), one["dates"].tolist(), b["window"].tolist()))
        return b["image"]["a"]

    through_symmetries(model)(batch())
    assert len({tuple(values) for values, _, _ in seen}) == 8
    assert {(str(dates), str(window)) for _, dates, window in seen} == {("[[1, 2, 3]]", "[[0, 1, 6, 6]]")}
