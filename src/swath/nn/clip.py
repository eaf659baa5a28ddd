"""Image-text networks of open_clip, built from their configuration and never fetched.

A network has two towers, an image encoder and a text encoder, whose vectors are compared by their cosine (Radford et
al. 2021, arXiv 2103.00020). Names of tensors are those of open_clip, in which RemoteCLIP too is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swath.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Means and deviations of red, green and blue, 0 to 1, that CLIP's weights were learned with.
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
#: Networks of ours for tests and small data: one laid out as ViT-L-14, and one with convolutions.
_SMALL: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    },
    "tiny-resnet": {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    },
}
#: Numbers that OpenAI's files hold beside the tensors.
_NO_TENSORS = ("input_resolution", "context_length", "vocab_size")


def clip(name: str) -> nn.Module:
    """A CLIP of open_clip without weights: images `[B, 3, S, S]` and token numbers `[B, T]` to vectors.

    Its logit scale stays fixed: who uses it says the temperature.

    Args:
        name: A configuration of open_clip, for example `ViT-L-14` or `RN50`, or `tiny` or `tiny-resnet`.

    Raises:
        ConfigError: If there is no such configuration, or its towers are not open_clip's own.
        MissingExtraError: If open_clip is not installed.
    """
    open_clip = _open_clip()
    config = _SMALL.get(name) or open_clip.get_model_config(name)
    if config is None:
        near = [n for n in open_clip.list_models() if n.startswith(name.split("-")[0])]
        raise ConfigError(
            "open_clip has no such network", got=name, fix=f"Perhaps one of: {', '.join(near[:8])}" if near else None
        )
    towers = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
    loads = {"timm_model_name", "hf_model_name", "hf_tokenizer_name"}
    if set(config) > towers or loads & {*config["vision_cfg"], *config["text_cfg"]}:
        raise ConfigError("This network's towers come from elsewhere", got=name, expected="for example ViT-L-14")
    net: nn.Module = open_clip.model.CLIP(**config)
    net.logit_scale.requires_grad_(False)
    return net


def image_size(net: Any) -> int:
    """Edge in pixels of the square images that a network takes."""
    size = net.visual.image_size
    return int(size[0] if isinstance(size, Sequence) else size)


def tokens(net: Any, texts: Sequence[str]) -> Tensor:
    """Token numbers `[texts, T]` of texts, by the tokenizer that open_clip ships; longer texts are cut."""
    found: Tensor = _open_clip().tokenizer.tokenize(list(texts), net.context_length)
    return found


def published_name(key: str) -> str | None:
    """Name in the network of a tensor of a published file; None for what is no tensor of it."""
    name = key.removeprefix("module.")
    return None if name in _NO_TENSORS else name


def _open_clip() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise MissingExtraError("open_clip", "clip") from error
    return open_clip


def train_projections_only(net: Any) -> None:
    """Freeze both encoders, running statistics too, but for the last linear maps into the common space."""
    net.visual.lock(unlocked_groups=0, freeze_bn_stats=True)
    for name, parameter in net.named_parameters():
        last = name == "text_projection" or name.startswith(("visual.proj", "visual.attnpool.c_proj"))
        parameter.requires_grad_(last)
