"""Studies written as a person has them: a table of units, images in an array, and a YAML that names both."""

import numpy as np
import pandas as pd
import yaml


def write_study(folder, units, part=None, **changes):
    """Write units to a folder; returns the path of the YAML, in which keys of `changes` replace others (None: none)."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"key": units.keys[units.image_of], "treated": units.treatment, "income": units.outcome})
    for name, column in zip(units.covariate_names, units.covariates.T, strict=True):
        table[name] = column
    said = {
        "units": "units.csv", "treatment": "treated", "outcome": "income", "key": "key",
        "covariates": list(units.covariate_names), "images": {"chips": "chips.npz"},
    }  # fmt: skip
    if np.isfinite(units.lon).all():
        table["lon"], table["lat"] = units.lon, units.lat
        said |= {"lon": "lon", "lat": "lat"}
    if units.probability is not None:
        said["probability"] = float(units.probability[0])
    if part is not None:
        table["part"] = part
        said["part"] = "part"
    table.to_csv(folder / "units.csv", index=False)
    np.savez(folder / "chips.npz", images=units.images, keys=units.keys)
    path = folder / "units.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in {**said, **changes}.items() if v is not None}))
    return path
