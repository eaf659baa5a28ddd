"""Cloud-Adapter: clouds and their shadows by a frozen DINOv2 with a small adapter and a Mask2Former head."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from swath.data.classes import Classes
from swath.data.readers.cloud_adapter import CLASSES
from swath.errors import BandError, ConfigError, WeightsError
from swath.nn.cloud_adapter import CloudAdapterNet
from swath.nn.dino import dino_vit, resized
from swath.nn.mask2former import TINY, HeadSize
from swath.nn.mask2former_names import from_openmmlab
from swath.registry import Card, register
from swath.sensors.catalogue import resolve
from swath.tasks.baselines import cloud_classifiers
from swath.tasks.normalise import Normalisation
from swath.tasks.query_segment import LOSS, QuerySegmentation
from swath.tasks.recipe import Recipe
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from torch import Tensor

    from swath.sensors.bands import Bands


@register(
    Card(
        id="cloud_adapter",
        title="Adapting Vision Foundation Models for Robust Cloud Segmentation in Remote Sensing Images",
        year=2025,
        task="segmentation",
        inputs="red, green and blue: 8-bit as published, or reflectance of any sensor; 10 to 30 m a pixel",
        outputs="a class a pixel: clear, thick cloud, thin cloud, shadow; clear and cloud; or the classes of your data",
        reference="arXiv:2411.13127",
        weights=(
            "The release is at huggingface.co/XavierJiezou/cloud-adapter-models (Apache-2.0): `weights=` takes its "
            "tensors of adapter and head, or of all. `encoder_weights=` takes a DINOv2 checkpoint of Meta (Apache-2.0) "
            "as it is, or as the release converts it."
        ),
        baseline="per pixel: majority class, nearest centroid, random forest; brightness; a linear probe",
        departures=(
            "`variant='published'` stretches what is not 8-bit RGB to bytes by a minimum and maximum of each patch, as "
            "the release made its data; published weights need it. `variant='corrected'` scales reflectance by fixed "
            "factors, so that the same cloud has the same brightness everywhere.",
            "The reader leaves black fill of Landsat 8 out, which the release labels and scores as clear ground "
            "(`fill='clear'`).",
            "The reader never selects on test pictures, as the release does where its validation part is its test "
            "part: it deals validation from training (`split='published'` does not).",
            "Pixels without label are no part of matching and losses; in the release they teach that no class is "
            "there.",
            "Neither variant begins at zero: the last map of an adapting module is drawn as the others, as in the "
            "release.",
            "Of the options of the release we have the published one: perception by convolutions, attention of rank 16 "
            "after every block, DINOv2. Not the other perception and adapting modules, SAM, or Rein.",
            "Brightness, contrast and mirroring stand for PhotoMetricDistortion, which changes hue and saturation too.",
            "`patch_size` below 16, with fewer maps in the perception, and the tiny head, whose norms have groups of "
            "as many channels as those of the published one, are ours.",
            "Without `encoder_weights` the transformer is drawn at random, always the same: good for tests only.",
        ),
        checks=(
            "P: 1,828,425, 919,113 and 771,657 adapter parameters on DINOv2 L, B and S; with a zero last map the "
            "frozen features bit by bit; loss and head equal transformers' Mask2Former.",
            "R: fit, score and predict on the published layout and on a scene of one's own, from the command line.",
            "B: a tiny one on a random transformer, unseen blocks of Sentinel-2: mIoU of clear, shadow, cloud 0.808; "
            "brightness 0.706, linear probe 0.555, majority 0.240; random forest, to which it loses, 0.840. On Landsat "
            "7, on which it did not learn, it loses to brightness too: 0.405, and 0.467.",
            "H: 0.60 % of the parameters of ViT-L; memory and time of a training step are on the page.",
        ),
        extra="torch,transformers",
    )
)
def cloud_adapter(
    classes: Classes | None = None,
    bands: Bands | None = None,
    variant: Literal["corrected", "published"] = "corrected",
    encoder: str = "vit_large_patch14_dinov2",
    encoder_weights: Path | None = None,
    weights: Path | None = None,
    image_size: int = 512,
    head: Literal["published", "tiny"] = "published",
    patch_size: int = 16,
) -> QuerySegmentation:
    """Build the task.

    Args:
        classes: Legend of the maps; None takes that of CloudSEN12.
        bands: What the images hold; red, green and blue are taken of it. None takes 8-bit RGB.
        variant: See the card.
        encoder: `vit_small_patch14_dinov2`, `vit_base_patch14_dinov2` or `vit_large_patch14_dinov2`; `vit_tiny` for
            tests.
        encoder_weights: Of the frozen transformer; the file must stay, because runs do not hold what is frozen.
        weights: Of adapter and head, or of the whole release; or of a Swath run.
        image_size: Edge in pixels for which the position embedding is resized, 512 or 256 in the release; images of
            other sizes are interpolated again.
        head: How large the Mask2Former head is; `tiny` suits a CPU.
        patch_size: Edge in pixels of the transformer's patches, a power of 2: 16 in the release. A token of a small
            transformer cannot hold so many pixels.

    Raises:
        ConfigError: If an option is unknown.
        BandError: If the bands hold no red, green and blue and are not three.
        ReadError: If there is no weights file.
        WeightsError: If weights are unsafe, damaged or belong to another network.
    """
    if variant not in ("corrected", "published") or head not in _HEADS or patch_size not in _PATCHES:
        raise ConfigError(
            "Cloud-Adapter has no such option",
            got=f"variant {variant}, head {head}, patch_size {patch_size}",
            expected="variant corrected or published, head published or tiny, patch_size 2, 4, 8 or 16",
        )
    bands = _three(resolve("rgb") if bands is None else bands)
    classes = CLASSES["cloudsen12_high_l1c"] if classes is None else classes
    net = CloudAdapterNet(dino_vit(encoder, image_size, patch_size), len(classes), _HEADS[head])
    if encoder_weights is not None:
        _load_encoder(net, load_state(encoder_weights), str(encoder_weights))
    if weights is not None:
        _load(net, load_state(weights), str(weights))
    kind = Stretched if variant == "published" and bands.sensor != "rgb" else QuerySegmentation
    task = kind(
        net,
        bands=bands,
        classes=classes,
        recipe=_RECIPE,
        normalisation=None if (found := _normalisation(bands, variant)) is None else {"image": found},
        stride=2 * patch_size,
        classifiers=cloud_classifiers,
    )
    if head == "tiny":
        task.points = 1024
    task.train_only("adapter", "head")
    return task


class Stretched(QuerySegmentation):
    """Segmentation of patches that are stretched to bytes first, each from its least number to its largest."""

    def inputs(self, batch: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the network takes of a batch; pixels without data are black, as in the release."""
        image = stretch(batch["image"])
        return super().inputs({**batch, "image": image, "valid": torch.ones_like(batch["valid"])})


def stretch(image: Tensor) -> Tensor:
    """Whole numbers 0 to 255 of images `[B, C, H, W]`, from the least to the largest of all bands of each."""
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    return (255 * ((image - low) / (high - low + 1e-6))).floor()


_HEADS = {"published": HeadSize(), "tiny": TINY}
_PATCHES = (2, 4, 8, 16)
#: ImageNet's mean and deviation of red, green and blue, for bytes.
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
#: 40,000 steps of 4 patches.
_RECIPE = Recipe(
    loss=LOSS, learning_rate=1e-4, weight_decay=0.05, schedule="poly",
    epochs=20, batch=4, patch=512, samples=8000, augment=("flip", "colour"), sampling="area",
)  # fmt: skip


def _three(bands: Bands) -> Bands:
    """Red, green and blue of some bands, or the three that there are."""
    if all(any(band.called(name) for band in bands) for name in ("red", "green", "blue")):
        return bands.select(["red", "green", "blue"])
    if len(bands) != 3:
        raise BandError(
            f"Bands of {bands.sensor} hold no red, green and blue",
            got=", ".join(bands.names),
            expected="these, or three others",
        )
    return bands


def _normalisation(bands: Bands, variant: str) -> Normalisation | None:
    """Fixed statistics: of bytes, of what is stretched to bytes, or of reflectance that is as bright; else None."""
    if variant == "published" or bands.sensor == "rgb":
        return Normalisation(_MEAN, _STD)
    if set(bands.units) == {"reflectance"}:
        return Normalisation(tuple(v / 255 for v in _MEAN), tuple(v / 255 for v in _STD))
    return None


def _load_encoder(net: CloudAdapterNet, state: Mapping[str, Tensor], name: str) -> None:
    """Load DINOv2, as Meta or the release has it, or from a file of the whole release."""
    if any(key.startswith("backbone.") for key in state):
        state = _below(state, "backbone.", but="cloud_adapter.")
    patch, grid = net.encoder.patch_embed.patch_size[0], net.encoder.patch_embed.grid_size[0]
    load_into(net.encoder, resized(state, patch, grid), name=name)


def _load(net: CloudAdapterNet, state: Mapping[str, Tensor], name: str) -> None:
    """Load adapter and head, and the transformer where the file holds it, in the release's names or in ours."""
    if any(key.startswith("decode_head.") for key in state):
        whole = _below(state, "backbone.", but="cloud_adapter.")
        adapter = _below(state, "backbone.cloud_adapter.")
        head = from_openmmlab(_below(state, "decode_head."))
    else:
        whole, adapter, head = (_below(state, f"{part}.") for part in ("encoder", "adapter", "head"))
    if not adapter or not head:
        raise WeightsError(f"{name} holds no adapter and head of Cloud-Adapter", got=", ".join(list(state)[:3]))
    if whole:
        _load_encoder(net, whole, f"{name} (transformer)")
    load_into(net.adapter, adapter, name=f"{name} (adapter)")
    load_into(net.head, head, name=f"{name} (head)")


def _below(state: Mapping[str, Tensor], prefix: str, but: str | None = None) -> dict[str, Tensor]:
    """Tensors whose names begin with `prefix`, without it; not those that go on with `but`."""
    found = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    return {key: tensor for key, tensor in found.items() if but is None or not key.startswith(but)}
