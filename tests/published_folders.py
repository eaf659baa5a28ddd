"""Tiny sound folders in every published layout, and where their images and labels lie: tests damage copies."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import crop_patches
import tiny
from bhutan import RGBN, write_records

EDGE = 40
PLACE = tiny.grid(EDGE, EDGE, "EPSG:3395", 0.1)


@dataclass(frozen=True)
class Published:
    """A layout.

    Attributes:
        write: Writes a sound folder.
        image: One of its images, below the folder.
        label: The raster with labels of that image; None where labels are no rasters.
        strange: What no class has: a code, or a colour.
        twin: A second file that would have the id of the image.
        wide: Whether images are rasters of 8 bits, so that 16 are wrong.
    """

    write: Callable[[Path], object]
    image: str
    label: str | None = None
    strange: int | tuple[int, int, int] = 77
    twin: str | None = None
    wide: bool = True


def rgb(seed=0, edge=EDGE):
    """A picture `[3, edge, edge]`."""
    return np.random.default_rng(seed).integers(1, 250, (3, edge, edge), dtype=np.uint8)


def codes(classes, seed=0, edge=EDGE):
    """Codes below `classes`, `[edge, edge]`."""
    return np.random.default_rng(seed).integers(0, classes, (edge, edge), dtype=np.uint8)


def pairs(image, label, names, classes=2, colours=None):
    """A writer of pictures and masks; `{}` of the paths is one of `names`."""

    def write(root):
        for number, name in enumerate(names):
            mask = codes(classes, number)
            tiny.write_picture(root / image.format(name), rgb(number))
            if label:
                mask = mask if colours is None else np.moveaxis(np.array(colours, np.uint8)[mask], -1, 0)
                tiny.write_picture(root / label.format(name), mask)

    return write


def gid15(root):
    """Four pictures that train and two that test."""
    for part, names in (("train", "abcd"), ("val", "ef")):
        pairs(f"GID/img_dir/{part}/{{}}.png", f"GID/ann_dir/{part}/{{}}_15label.png", names, 16)(root)


def parts(image, label, names=("train/a", "val/b", "test/c"), classes=2):
    """A writer of one picture a part; paths hold `{part}` and `{id}`."""

    def write(root):
        for number, name in enumerate(names):
            part, stem = name.split("/")
            tiny.write_picture(root / image.format(part=part, id=stem), rgb(number))
            if label:
                tiny.write_picture(root / label.format(part=part, id=stem), codes(classes, number))

    return write


def cloud_adapter(root):
    """Pictures of CloudSEN12."""
    home = "cloudsen12_high_l1c/"
    parts(home + "img_dir/{part}/{id}.png", home + "ann_dir/{part}/{id}.png", classes=4)(root)


def mass_buildings(root):
    """The original layout."""
    for number, part in enumerate(("train", "valid", "test")):
        tiny.write_picture(root / f"{part}/sat/{number}.tiff", rgb(number))
        red = np.zeros((3, EDGE, EDGE), np.uint8)
        red[0] = 255 * codes(2, number)
        tiny.write_picture(root / f"{part}/map/{number}.tif", red)


def cloud38(root):
    """Three Landsat scenes."""
    for scene in range(3):
        name = f"patch_{scene}_1_by_1_LC08_L1TP_06401{scene}_20160420_20170223_01_T1.TIF"
        for band in ("red", "green", "blue", "nir"):
            values = np.random.default_rng(scene).integers(5000, 9000, (EDGE, EDGE), dtype=np.uint16)
            tiny.write_raster(root / f"train_{band}/{band}_{name}", values, PLACE)
        tiny.write_raster(root / f"train_gt/gt_{name}", 255 * codes(2, scene), PLACE)


def cloudsen12(root):
    """A patch a part in flat files."""
    for part in ("train", "val", "test"):
        (root / part).mkdir()
        for band in (2, 3, 4):
            values = np.random.default_rng(band).integers(1, 9000, (512, 512), np.int16)
            values.tofile(root / part / f"L1C_B{band}.dat")
        codes(4, edge=512).tofile(root / part / "LABEL_manual_hq.dat")


def cloudshadow(root):
    """One scene in arrays."""
    rng = np.random.default_rng(0)
    image = rng.random((192, 256, 6), np.float32)
    np.savez(root / "sentinel2.npz", img=image, msk=rng.choice(np.array([0, 1, 3, 4], np.uint8), (192, 256, 1)))


def landcover_ai(root):
    """Three sheets of one tile."""
    for number, part in enumerate(("train", "val", "test")):
        place = tiny.grid(520, 520, "EPSG:2180", 0.5, 400_000 + 1000 * number, 500_000)
        tiny.write_raster(root / f"images/S-{number}.tif", rgb(number, 520), place)
        tiny.write_raster(root / f"masks/S-{number}.tif", codes(5, number, 520), place)
        (root / f"{part}.txt").write_text(f"S-{number}_0\n")


def fusu(root):
    """Three areas with two months."""
    for number, name in enumerate(("6_255", "7_1", "8_12")):
        for date in ("im1", "im2"):
            tiny.write_picture(root / f"{date}/{name}.png", rgb(number))
            tiny.write_picture(root / f"{date}_label/{name}.png", codes(18, number))
        for month in (8, 12):
            values = np.random.default_rng(number).integers(1, 4000, (14, 8, 8)).astype(np.float32)
            tiny.write_raster(root / f"A/{month}/{name}_A_{month}.tif", values, tiny.grid(8, 8))


def oam_tcd(root):
    """A tile of a mosaic each part, with a crown each."""
    for number, part in enumerate(("train", "val", "test")):
        name = f"{'abc'[number]}_10_0"
        tiny.write_raster(root / f"images/{name}.tif", rgb(number), PLACE)
        tiny.write_picture(root / f"masks/{name}.png", codes(2, number))
        (root / f"{part}.json").write_text(json.dumps(coco(f"{name}.tif", "tree")))


def coco(file, category):
    """One picture with one thing."""
    ring = [5, 5, 20, 5, 20, 20, 5, 20]
    return {
        "images": [{"id": 1, "file_name": file, "height": EDGE, "width": EDGE}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [ring], "iscrowd": 0}],
        "categories": [{"id": 1, "name": category}],
    }


def cloudtracks(root):
    """Three days with a track each."""
    for number, day in enumerate(("2019008", "2019015", "2019022")):
        tiny.write_picture(root / f"images/mod{day}.1725.png", rgb(number))
        (root / f"mod{day}.json").write_text(json.dumps(coco(f"mod{day}.1725.png", "shiptrack")))


def roofnet(root):
    """Three cities with a roof each."""
    for number, city in enumerate(("corrin", "lima", "quito")):
        tiny.write_picture(root / f"train/Thatch/{city}-1.png", rgb(number))


def questions(root):
    """Three pictures with a question each."""
    asked = {}
    for number in range(3):
        tiny.write_picture(root / f"Images/Train_Image/{number}.JPG", rgb(number))
        asked[str(number)] = {
            "Image_ID": f"{number}.JPG", "Question": "How many?", "Ground_Truth": number, "Question_Type": "Counting",
        }  # fmt: skip
    (root / "Questions").mkdir()
    (root / "Questions/Training Question.json").write_text(json.dumps(asked))


def starcop(root):
    """Three flights with one band each."""
    for number, part in enumerate(("train", "train", "test")):
        folder = root / f"ang2019_t{number}_r0"
        values = np.random.default_rng(number).uniform(0.1, 2, (EDGE, EDGE)).astype(np.float32)
        tiny.write_raster(folder / "TOA_AVIRIS_2200nm.tif", values, tiny.grid(EDGE, EDGE))
        tiny.write_raster(folder / "labelbinary.tif", codes(2, number), tiny.grid(EDGE, EDGE))
        with (root / f"{part}.csv").open("a") as file:
            file.write(f"{'' if number == 1 else 'id' + chr(10)}{folder.name}\n")


def bhutan_rice(root):
    """Points of three parts."""
    for seed, (part, count) in enumerate((("training", 20), ("testing", 5), ("validation", 5))):
        rng = np.random.default_rng(seed)
        values = rng.uniform(0.01, 0.4, (count, 8)).astype(np.float32)
        write_records(root / f"{part}/{part}.tfrecord.gz", values, rng.integers(0, 5, count), RGBN)


def sen4agrinet(root):
    """Patches of both countries and years."""
    crop_patches.write_folder(root, 8, days=range(10, 360, 60))


_PATCH = Published(sen4agrinet, "2019_31TCJ_patch_0_0.nc", wide=False)
_OAM = Published(oam_tcd, "images/a_10_0.tif", "masks/a_10_0.png")
_ROOFS = Published(roofnet, "train/Thatch/lima-1.png", twin="train/Thatch/lima-1.jpg")
_BUILDINGS = Published(
    mass_buildings, "train/sat/0.tiff", "train/map/0.tif", strange=(0, 200, 0), twin="train/sat/0.tif"
)
_DUBAI = Published(
    pairs(
        "Tile {}/images/image_part_001.jpg", "Tile {}/masks/image_part_001.png", "123", 5,
        [(60, 16, 152), (132, 41, 246), (110, 193, 228), (254, 221, 58), (226, 169, 41)],
    ),
    "Tile 2/images/image_part_001.jpg", "Tile 2/masks/image_part_001.png", strange=(1, 2, 3),
)  # fmt: skip

#: Every layout that can be read, by its id.
FOLDERS = {
    "bhutan_rice": Published(bhutan_rice, "training/training.tfrecord.gz", wide=False),
    "cloud38": Published(
        cloud38, "train_red/red_patch_1_1_by_1_LC08_L1TP_064011_20160420_20170223_01_T1.TIF",
        "train_gt/gt_patch_1_1_by_1_LC08_L1TP_064011_20160420_20170223_01_T1.TIF", wide=False,
    ),
    "cloud_adapter": Published(
        cloud_adapter, "cloudsen12_high_l1c/img_dir/val/b.png", "cloudsen12_high_l1c/ann_dir/val/b.png"
    ),
    "cloudsen12": Published(cloudsen12, "train/L1C_B4.dat", wide=False),
    "cloudshadow": Published(cloudshadow, "sentinel2.npz", wide=False),
    "cloudtracks": Published(cloudtracks, "images/mod2019015.1725.png"),
    "dubai": _DUBAI,
    "dubai_buildings": _DUBAI,
    "floodnet": Published(
        parts("{part}/{part}-org-img/{id}.jpg", "{part}/{part}-label-img/{id}_lab.png", classes=10),
        "val/val-org-img/b.jpg", "val/val-label-img/b_lab.png", twin="train/train-org-img/b.jpg",
    ),
    "floodnet_classification": Published(
        pairs("Train/Labeled/{}.jpg", None, [f"Flooded/image/{n}" for n in range(6)] + ["Non-Flooded/image/6"]),
        "Train/Labeled/Flooded/image/1.jpg", twin="Train/Labeled/Non-Flooded/image/1.jpg",
    ),
    "floodnet_vqa": Published(questions, "Images/Train_Image/1.JPG"),
    "fusu": Published(fusu, "im1/7_1.png", "im1_label/7_1.png"),
    "gid15": Published(
        gid15, "GID/img_dir/train/b.png", "GID/ann_dir/train/b_15label.png", twin="GID/img_dir/val/b.png"
    ),
    "landcover_ai": Published(landcover_ai, "images/S-1.tif", "masks/S-1.tif"),
    "mass_buildings": _BUILDINGS,
    "mass_buildings_256": _BUILDINGS,
    "methane_onboard": Published(
        starcop, "ang2019_t1_r0/TOA_AVIRIS_2200nm.tif", "ang2019_t1_r0/labelbinary.tif", wide=False
    ),
    "oam_tcd": _OAM,
    "oam_tcd_instances": replace(_OAM, label=None),
    "roofnet": _ROOFS,
    **dict.fromkeys(("sen4agrinet", "sen4agrinet_1", "sen4agrinet_2", "sen4agrinet_3", "sen4agrinet_oad"), _PATCH),
}  # fmt: skip
