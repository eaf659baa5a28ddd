"""Image-text networks: open_clip's own, built and loaded offline."""

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from swath.errors import ConfigError, WeightsError
from swath.nn.clip import clip, image_size, published_name, tokens, train_projections_only
from swath.tasks.weights import load_into, load_state


@pytest.mark.parametrize("name", ["tiny", "tiny-resnet"])
def test_small_networks_compare_images_and_texts(name):
    net = clip(name).eval()
    size = image_size(net)
    with torch.no_grad():
        image = net.encode_image(torch.randn(2, 3, size, size), normalize=True)
        text = net.encode_text(tokens(net, ["a roof", "a road"]), normalize=True)
    assert image.shape == text.shape
    torch.testing.assert_close(image.norm(dim=1), torch.ones(2))
    assert not net.logit_scale.requires_grad


def test_tiny_is_laid_out_as_the_network_of_remoteclip():
    """Tensors have the names of ViT-L-14 but for the number of blocks."""

    def layout(net):
        return {".".join("n" if part.isdigit() else part for part in key.split(".")) for key in net.state_dict()}

    with torch.device("meta"):
        large = open_clip.model.CLIP(**open_clip.get_model_config("ViT-L-14"))
    assert layout(clip("tiny")) == layout(large)
    assert sum(p.numel() for p in large.parameters()) == 427_616_513  # as RemoteCLIP's file


def test_tokens_are_known_without_a_net():
    net = clip("tiny")
    found = tokens(net, ["roof", "roof in Aldmoor " * 20])
    assert found.shape == (2, 32)
    # start, word, end, padding; a long text ends at the last place
    assert found[0, 0] == 49406
    assert found[0, 2] == 49407
    assert (found[0, 3:] == 0).all()
    assert found[1, -1] == 49407


@pytest.mark.parametrize("kind", ["safetensors", "torch", "openai"])
def test_published_files_load_as_they_are(tmp_path, kind):
    state = {k: torch.randn_like(v) for k, v in clip("tiny").state_dict().items()}
    path = tmp_path / ("weights.safetensors" if kind == "safetensors" else "weights.pt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "torch":
        torch.save(state, path)
    else:
        beside = {
            "input_resolution": torch.tensor(32),
            "context_length": torch.tensor(32),
            "vocab_size": torch.tensor(1),
        }
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()} | beside}, path)
    net = clip("tiny")
    load_into(net, load_state(path), published_name)
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    with pytest.raises(WeightsError, match="do not fit"):
        load_into(clip("tiny-resnet"), load_state(path), published_name)


def test_strange_names_are_refused():
    with pytest.raises(ConfigError, match="no such network"):
        clip("ViT-Q-99")
    with pytest.raises(ConfigError, match="come from elsewhere"):
        clip("ViT-B-16-SigLIP")


@pytest.mark.parametrize("name", ["tiny", "tiny-resnet"])
def test_projections_alone_can_be_trained(name):
    net = clip(name).train()
    train_projections_only(net)
    learns = {key for key, p in net.named_parameters() if p.requires_grad}
    assert learns == {"text_projection"} | (
        {"visual.proj"} if name == "tiny" else {"visual.attnpool.c_proj.weight", "visual.attnpool.c_proj.bias"}
    )
    before = {key: value.clone() for key, value in net.state_dict().items()}
    size = image_size(net)
    seen, read = net.encode_image(torch.randn(4, 3, size, size)), net.encode_text(tokens(net, ["a", "b", "c", "d"]))
    (seen * read).sum().backward()
    torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1).step()
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed <= learns
    assert "text_projection" in changed
