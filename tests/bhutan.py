"""The published layout of the Bhutan rice exports, written where a test asks for it."""

import json

import numpy as np

from swath.data.tfrecord import write_examples

#: Names of the features in the order of the networks: of RGBN, and what E and S add.
RGBN = [f"{colour}_{season}" for season in ("before", "during") for colour in ("red", "green", "blue", "nir")]
ELEVATION = ["elevation", "slope"]
RADAR = [f"{p}_{orbit}_{s}" for orbit in ("asc", "desc") for s in ("before", "during") for p in ("vv", "vh")]


def write_records(path, values, classes, names=RGBN, label="class"):
    """Points `[n, features]` with classes `[n]`, or patches `[n, features, h, w]` with classes `[n, h, w]`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    examples = (
        {name: np.float32(plane).ravel() for name, plane in zip([*names, label], [*record, code], strict=True)}
        for record, code in zip(values, classes, strict=True)
    )
    write_examples(path, examples)
    return path


def write_image(folder, image, size, name="image_2021", margin=0, names=RGBN, affine=(1e-4, 0, 89.4, 0, -1e-4, 27.5)):
    """An image `[features, height, width]` of whole patches, with its mixer; `margin` pixels repeat the neighbours."""
    folder.mkdir(parents=True, exist_ok=True)
    padded = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    down, across = image.shape[1] // size, image.shape[2] // size
    reach = size + 2 * margin
    examples = (
        {
            feature: plane[r * size : r * size + reach, c * size : c * size + reach].astype(np.float32).ravel()
            for feature, plane in zip(names, padded, strict=True)
        }
        for r in range(down)
        for c in range(across)
    )
    write_examples(folder / f"{name}.tfrecord.gz", examples)
    mixer = {
        "projection": {"crs": "EPSG:4326", "affine": {"doubleMatrix": list(affine)}},
        "patchDimensions": [size, size],
        "patchesPerRow": across,
        "totalPatches": down * across,
    }
    (folder / f"{name}.json").write_text(json.dumps(mixer))
    return folder / f"{name}.tfrecord.gz"
