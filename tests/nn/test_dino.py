"""DINOv2 at another patch size: bicubic by hand, timm's forward, and weights that are always the same."""

import numpy as np
import pytest
import timm
import torch

from swath.errors import ConfigError
from swath.nn.dino import dino_vit, resized, tokens


def cubic(into: int, out: int) -> np.ndarray:
    """Weights `[out, into]` of cubic convolution with a = -3/4, pixel centres at halves, edges repeated (Keys 1981)."""
    a, weights = -0.75, np.zeros((out, into))
    for row in range(out):
        place = (row + 0.5) * into / out - 0.5
        for column in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            x = abs(place - column)
            w = (a + 2) * x**3 - (a + 3) * x**2 + 1 if x <= 1 else a * (x**3 - 5 * x**2 + 8 * x - 4)
            weights[row, min(max(column, 0), into - 1)] += w
    return weights


def test_kernels_and_places_are_resized_by_plain_bicubic():
    generator = torch.Generator().manual_seed(0)
    state = {
        "patch_embed.proj.weight": torch.randn(2, 3, 14, 14, generator=generator),
        "pos_embed": torch.randn(1, 37 * 37 + 1, 5, generator=generator),
        "mask_token": torch.zeros(1, 5),
        "norm.weight": torch.ones(5),
    }
    found = resized(state, 16, 32)
    w = cubic(14, 16)
    kernel = np.einsum("ai,bj,ocij->ocab", w, w, state["patch_embed.proj.weight"].numpy())
    assert np.allclose(found["patch_embed.proj.weight"].numpy(), kernel, atol=1e-5)
    w = cubic(37, 32)
    places = np.einsum("ai,bj,ijd->abd", w, w, state["pos_embed"][0, 1:].reshape(37, 37, 5).numpy())
    assert np.allclose(found["pos_embed"][0, 1:].reshape(32, 32, 5).numpy(), places, atol=1e-5)
    assert torch.equal(found["pos_embed"][:, :1], state["pos_embed"][:, :1])
    assert set(found) == {"patch_embed.proj.weight", "pos_embed", "norm.weight"}
    again = resized(found, 16, 32)  # what the release has converted stays as it is
    assert all(torch.equal(again[name], tensor) for name, tensor in found.items())


def test_timm_resizes_otherwise():
    """The reason why it is written here: FlexiViT's kernels are not bicubic ones."""
    from timm.layers import resample_patch_embed

    kernel = torch.randn(4, 3, 14, 14, generator=torch.Generator().manual_seed(1))
    ours = resized({"patch_embed.proj.weight": kernel}, 16, 32)["patch_embed.proj.weight"]
    assert not torch.allclose(resample_patch_embed(kernel, [16, 16]), ours, atol=0.1)


def test_tokens_go_through_blocks_as_in_timm():
    vit = dino_vit("vit_tiny", 64).eval()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = vit.get_intermediate_layers(image, 1, return_prefix_tokens=True, norm=False)[0]
        x = tokens(vit, image)
        for block in vit.blocks:
            x = block(x)
    assert torch.equal(x[:, 1:], expected[0])
    assert torch.equal(x[:, :1], expected[1])


@pytest.mark.parametrize("shape", [(64, 96), (32, 32), (96, 96)])
def test_places_of_other_sizes_are_interpolated(shape):
    """A position embedding that rises evenly from left to right still does, at about the places of the patches."""
    vit = dino_vit("vit_tiny", 64)
    rows, columns = shape[0] // 16, shape[1] // 16
    with torch.no_grad():
        vit.patch_embed.proj.weight.zero_()
        vit.patch_embed.proj.bias.zero_()
        vit.pos_embed[0, 1:] = torch.arange(4.0).repeat(4)[:, None]
        found = tokens(vit, torch.randn(1, 3, *shape))[0, 1:, 0].reshape(rows, columns)
    assert torch.allclose(found, found[:1].expand(rows, -1), atol=1e-5)
    expected = np.clip((np.arange(columns) + 0.5) * 4 / (columns + 0.1) - 0.5, 0, 3)
    assert np.allclose(found[0].numpy(), expected, atol=0.2)
    assert (found[0].diff() > 0).all()


def test_it_is_drawn_always_the_same_and_nothing_else_is():
    torch.manual_seed(4)
    first = dino_vit("vit_tiny", 64).state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(4)
    assert torch.equal(torch.rand(1), drawn)
    second = dino_vit("vit_tiny", 64).state_dict()
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_names_are_those_of_timm_s_dinov2():
    with torch.device("meta"):
        ours = dino_vit("vit_small_patch14_dinov2", 512).state_dict()
        timms = timm.create_model("vit_small_patch14_dinov2").state_dict()
    assert set(ours) == set(timms)
    assert ours["pos_embed"].shape == (1, 1025, 384)


@pytest.mark.parametrize(("name", "image"), [("vit_huge", 512), ("vit_tiny", 100), ("vit_tiny", 0)])
def test_transformers_that_cannot_be_are_refused(name, image):
    with pytest.raises(ConfigError):
        dino_vit(name, image)
