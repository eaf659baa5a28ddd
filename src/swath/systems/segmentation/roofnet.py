"""RoofNet: materials of roofs by an image-text network, prompts with the city, and a review by rules and people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from swath.data.classes import Classes
from swath.data.readers.roofnet import CLASSES
from swath.data.roof_names import city_as_released, file_of
from swath.errors import BandError, ConfigError
from swath.nn.clip import CLIP_MEAN, CLIP_STD, clip, image_size, published_name, train_projections_only
from swath.registry import Card, register, register_form
from swath.sensors.catalogue import resolve
from swath.tasks.normalise import Normalisation
from swath.tasks.recipe import Recipe
from swath.tasks.roof_materials import RoofMaterials, UntrainedRoofMaterials
from swath.tasks.text_classify import Asking
from swath.tasks.weights import load_into, load_state

if TYPE_CHECKING:
    from swath.data.scenes import Scene
    from swath.sensors.bands import Bands


@register(
    Card(
        id="roofnet",
        title="RoofNet: A Global Multimodal Dataset for Roof Material Classification",
        year=2025,
        task="classification",
        inputs="RGB crops of single roofs, 8-bit, any size; or a scene of 0.3 m or finer and footprints of buildings",
        outputs="one of 14 materials or unknown for each roof, with probabilities, city and facts; a review table",
        reference="arXiv:2505.19358",
        weights=(
            "`weights=` takes RemoteCLIP-ViT-L-14 (its mirrors say Apache-2.0) or another file in open_clip's names as "
            "it is. The fine-tuned weights of the paper were not released with the code."
        ),
        baseline="majority class, nearest centroid, random forest of band statistics; zero-shot; a random guess",
        extra="torch,clip",
        departures=(
            "In a batch of the release the prompt of the same class in another city counts as a wrong answer: a right "
            "one here. (Equal prompts do no harm: with them both losses have the same value and slope.)",
            "The released weights are those of the lowest training loss: here those of the best validation macro F1.",
            "The release asks three things: training `description in City`, evaluation `description`, labelling "
            "`ClassName in City`. Here all three ask as in training.",
            "The released prompts look for a hyphen first, so a southern or western coordinate becomes part of the "
            "city's name; `variant='published'` does the same.",
            "The released validator writes blanks where its table of cities has underscores, so it finds no city of "
            "several words, and it moves files. Here cities are found, and a review table is written.",
            "The released parts share cities: here whole cities are held out; `read_roofnet(split='published')`.",
            "Descriptions are in our words but for asphalt shingles, because the release has no licence; "
            "`descriptions=` takes others.",
            "Crops are turned and mirrored in training here; the release cuts 0.9 to 1 of them at random.",
            "Without a table of cities every material is allowed; the published table is CC BY-NC and not included.",
            "Where a latitude ends the release guesses; here the place nearer to the named city counts. Where no city "
            "is within 150 miles and the name tells none, the release takes the nearest; here there is none.",
            "The release's labelling leaves out crops of up to 1000 pixels, and so does `variant='published'`; here "
            "they are judged and reviewed.",
        ),
        checks=(
            "P: logits are open_clip's for a random network, to 1e-5; the loss is its closed form; distances, file "
            "names and the validator by hand.",
            "R: fit, score and predict on the published layout, and buildings of a scene to a GeoPackage; a review is "
            "corrected in the Studio and in a table, and fitted again.",
            "B: on simulated roofs of 22 unseen cities accuracy 0.837, and 0.877 with the table of cities; majority "
            "0.531, random forest 0.809, and 0.854 with the table; zero-shot without weights 0.307.",
            "H: parameters and time of a step, full against the projections only, are on the page.",
        ),
    )
)
def roofnet(
    classes: Classes | None = None,
    bands: Bands | None = None,
    model: str = "ViT-L-14",
    tune: Literal["all", "projections"] = "all",
    descriptions: dict[str, str] | None = None,
    variant: Literal["corrected", "published"] = "corrected",
    weights: Path | None = None,
) -> RoofMaterials:
    """Build the task.

    Args:
        classes: What a roof can be; None takes the published fifteen.
        bands: Red, green and blue; None takes RGB of 8 bit.
        model: A network of open_clip by its name; `tiny-resnet` suits a CPU and little data.
        tune: What is trained: all, as published, or only the last maps into the common space.
        descriptions: What classes look like, by name, for prompts; others have words of ours, or those of their name.
        variant: `published` asks, compares and selects as the release does; see the departures.
        weights: A weights file in open_clip's names, for example of RemoteCLIP; without, the network knows nothing.

    Raises:
        ConfigError: If there is no such network, or an option is unknown.
        BandError: If the bands are not three.
        MissingExtraError: If open_clip is not installed.
        ReadError: If there is no weights file.
        WeightsError: If the weights are unsafe, damaged or belong to another network.
    """
    return RoofMaterials(**_parts(classes, bands, model, tune, descriptions, variant, weights))


@register_form("roofnet:zero_shot")
def roofnet_zero_shot(
    classes: Classes | None = None,
    bands: Bands | None = None,
    model: str = "ViT-L-14",
    descriptions: dict[str, str] | None = None,
    variant: Literal["corrected", "published"] = "corrected",
    weights: Path | None = None,
) -> UntrainedRoofMaterials:
    """Build the task without training; see `roofnet`."""
    return UntrainedRoofMaterials(**_parts(classes, bands, model, "all", descriptions, variant, weights))


#: What the classes look like, in our words.
DESCRIPTIONS = {
    "Thatch": "roof thatched with straw, reed or palm leaves",
    "GreenVegetative": "green roof covered with plants",
    "StoneSlates": "roof of dark slates of natural stone",
    "ClayTiles": "roof of fired clay tiles",
    "AsphaltTiles": "angled asphalt shingle roof",
    "ConcreteTiles": "roof of concrete or fibre cement tiles",
    "WoodTiles": "roof of wooden shingles",
    "MetalSheetMaterials": "roof of metal sheets, ribbed, bare or painted",
    "PolycarbonateSheetMaterials": "roof of translucent plastic sheets",
    "GlassSheetMaterials": "roof of glass panes",
    "AmorphousConcrete": "flat roof of bare concrete",
    "AmorphousAsphalt": "flat roof sealed with bitumen felt",
    "AmorphousMembrane": "flat roof under a pale plastic membrane",
    "AmorphousFabric": "roof of stretched fabric, like a tent",
    "Unknown": "roof that cannot be made out",
}


def _parts(
    classes: Classes | None,
    bands: Bands | None,
    model: str,
    tune: str,
    descriptions: dict[str, str] | None,
    variant: str,
    weights: Path | None,
) -> dict[str, Any]:
    """Arguments of the task."""
    for name, value, known in (
        ("variant", variant, ("corrected", "published")),
        ("tune", tune, ("all", "projections")),
    ):
        if value not in known:
            raise ConfigError(f"The system has no such `{name}`", got=value, expected=" or ".join(known))
    bands = resolve("rgb") if bands is None else bands
    if len(bands) != 3:
        raise BandError(
            "The network takes three bands", got=", ".join(bands.names), expected="red, green, blue", fix=_FIX
        )
    net = clip(model)
    if weights is not None:
        load_into(net, load_state(weights), published_name, name=f"{weights} ({model})")
    if tune == "projections":
        train_projections_only(net)
    described, released = {**DESCRIPTIONS, **(descriptions or {})}, variant == "published"
    return {
        "net": net,
        "bands": bands,
        "classes": CLASSES if classes is None else classes,
        "recipe": Recipe(
            learning_rate=1e-5, schedule="constant", epochs=5, batch=32, patch=image_size(net), sampling="classes",
            augment=() if released else ("d4",),
        ),
        "normalisation": {"image": _BYTES} if bands == resolve("rgb") else None,
        "asking": _released(described) if released else Asking(described),
        "place_of": _released_city if released else None,
        "skips_small": released,
    }  # fmt: skip


#: How data of more bands are used.
_FIX = "Name three with `bands:` in the layer of the data"
#: What CLIP was trained with, for bytes.
_BYTES = Normalisation(*(tuple(255 * value for value in values) for values in (CLIP_MEAN, CLIP_STD)))


def _released(described: dict[str, str]) -> Asking:
    return Asking(described, score="description", predict="class_city", by_label=False, best="train_gain")


def _released_city(scene: Scene) -> str:
    return city_as_released(Path(file_of(scene)).stem)
