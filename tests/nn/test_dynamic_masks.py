"""Dynamic masks: which cells tell a thing, what they draw, by hand; and that crossing things are learned apart."""

import numpy as np
import pytest
import torch

from swath.errors import ConfigError
from swath.nn.dynamic_masks import STEP, DynamicMasks, dice, learners, owners


def lines(edge=64):
    """A level and an upright line that cross, and a short one beside."""
    masks = torch.zeros(3, edge, edge, dtype=torch.bool)
    masks[0, 30:33, 4:60] = True
    masks[1, 6:52, 18:21] = True
    masks[2, 50:54, 44:60] = True
    return masks


def test_cells_near_the_middle_that_a_thing_covers_tell_it():
    owner = owners(lines(), (8, 8))
    assert set(owner.unique().tolist()) == {-1, 0, 1, 2}
    rows, cols = torch.nonzero(owner == 0).T
    # the middle is at (31.5, 32): row 3 or 4 of cells, within 0.15 of 56 pixels
    assert (((rows + 0.5) * STEP - 31.5).abs() <= 8.5).all()
    assert (((cols + 0.5) * STEP - 32).abs() <= 8.5).all()
    assert (owner[3:5, 3:5] == 0).any()
    for place, mask in enumerate(lines()):
        for row, col in torch.nonzero(owner == place).tolist():
            assert mask[row * STEP : (row + 1) * STEP, col * STEP : (col + 1) * STEP].any()


def test_a_cell_that_two_things_claim_goes_to_the_nearer_middle():
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    masks[0, 12:15, 2:30] = True
    masks[1, 2:30, 12:15] = True
    owner = owners(masks, (4, 4))
    assert {0, 1} <= set(owner.unique().tolist())


def test_a_mask_is_drawn_from_features_and_positions_by_the_weights_of_its_cell():
    torch.manual_seed(0)
    net = DynamicMasks("test_resnet", 3, 1).double()
    shared = torch.randn(9, 16, 24, dtype=torch.double)
    makes = torch.randn(sum(net._sizes), 2, 3, dtype=torch.double)
    cells = torch.tensor([[1, 2], [0, 0]])
    small = shared.reshape(9, 8, 2, 12, 2).mean((2, 4)).numpy()
    logits = np.empty((2, 8, 12))
    for number, (cell_row, cell_col) in enumerate(cells.tolist()):
        w1, b1, w2, b2, w3, b3 = (p.numpy() for p in makes[:, cell_row, cell_col].split(net._sizes))
        for row, col in np.ndindex(8, 12):
            down, across = 2 * row + 1 - 8 * (cell_row + 0.5), 2 * col + 1 - 8 * (cell_col + 0.5)
            x = np.r_[small[:, row, col], down / 64, across / 64]
            x = np.maximum(w1.reshape(8, 11) @ x + b1, 0)
            x = np.maximum(w2.reshape(8, 8) @ x + b2, 0)
            logits[number, row, col] = (w3 @ x + b3)[0] + small[-1, row, col]
    expected = torch.nn.functional.interpolate(torch.from_numpy(logits)[:, None], scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(net._draw(shared, makes, cells), expected[:, 0])


def test_each_thing_is_learned_by_some_of_its_cells():
    owner = torch.full((8, 8), -1)
    owner[:4, :4], owner[7, 7] = 2, 0
    cells, whose = learners(owner, 3)
    assert whose.tolist() == [0, 2, 2, 2, 2, 2, 2]
    assert owner[tuple(cells.T)].tolist() == whose.tolist()
    assert len(cells.unique(dim=0)) == len(cells)
    assert learners(owner - 9, 3)[0].shape == (0, 2)


def test_what_a_place_tells_does_not_hang_on_what_is_far_away():
    """Norms over the tile would tell other things where tiles have another size, or a bright cloud in a corner."""
    torch.manual_seed(0)
    net = DynamicMasks("test_resnet", 3, 1).eval()
    told = []
    net.tells.register_forward_hook(lambda _, __, out: told.append(out))
    image = torch.randn(1, 3, 64, 1024)
    other = image.clone()
    other[..., 960:] += 5
    with torch.no_grad():
        net(image), net(other)
    assert torch.equal(told[0][..., :40], told[1][..., :40])
    assert not torch.equal(told[0], told[1])


def test_dice_by_hand():
    found = dice(torch.tensor([[1.0, 0.5, 0.0], [0, 0, 0]]), torch.tensor([[1.0, 1.0, 1.0], [0, 0, 0]]))
    assert found.tolist() == pytest.approx([1 - 2 * 1.5 / (1.25 + 3), 1.0])


def test_it_answers_as_torchvision_does_for_any_size_and_no_thing():
    net = DynamicMasks("test_resnet", 4, 2, least_score=0.0, detections=5).eval()
    with torch.no_grad():
        found = net(torch.randn(2, 4, 50, 37))
    assert len(found) == 2
    for one in found:
        count = len(one["scores"])
        assert one["masks"].shape == (count, 1, 50, 37)
        assert one["boxes"].shape == (count, 4)
        assert set(one["labels"].tolist()) <= {1, 2}
        assert (one["scores"].diff() <= 0).all()
    net.least_score = 1.0
    with torch.no_grad():
        assert net(torch.randn(1, 4, 50, 37))[0]["masks"].shape == (0, 1, 50, 37)


def test_images_without_things_teach_that_there_is_nothing():
    net = DynamicMasks("test_resnet", 3, 1).train()
    losses = net([torch.randn(3, 64, 64)] * 2, [{"masks": torch.zeros(0, 64, 64), "labels": torch.zeros(0)}] * 2)
    sum(losses.values()).backward()
    assert net.tells.bias.grad.item() > 0  # down with it
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.slow
def test_things_that_cross_are_learned_apart():
    torch.manual_seed(0)
    masks = lines()
    image = masks.any(0).float().expand(3, -1, -1) + 0.1 * torch.randn(3, 64, 64)
    net = DynamicMasks("test_resnet", 3, 1, width=32).train()
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    target = {"masks": masks, "labels": torch.ones(3, dtype=torch.long)}
    for _ in range(120):
        optimizer.zero_grad()
        sum(net([image], [target]).values()).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        found = net(image[None])[0]
    drawn = found["masks"][:, 0] > 0.5
    iou = (drawn[:, None] & masks).sum((2, 3)) / (drawn[:, None] | masks).sum((2, 3))
    assert (iou.amax(0) > 0.7).all()


def test_encoders_that_cannot_be_met_are_refused():
    with pytest.raises(ConfigError, match="no such encoder"):
        DynamicMasks("resnet-fifty", 3, 1)
    with pytest.raises(ConfigError, match="does not suit"):
        DynamicMasks("vit_tiny_patch16_224", 3, 1)
