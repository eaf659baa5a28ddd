import json
from pathlib import Path

import yaml

from swath.data.classes import Classes
from swath.sensors.bands import Band, Bands
from swath.tasks.plain import from_plain, to_plain


def test_options_survive_json_and_yaml() -> None:
    bands = Bands("s", (Band("B4", "reflectance", 665.0, 1e-4, -0.1, 0, ("red",)), Band("vv", "dB")))
    options = {
        "bands": {"image": bands},
        "classes": Classes.of({1: "a", 9: {"name": "b", "colour": "#010203"}}, ignored=[0]),
        "rate": 0.5,
        "weights": None,
    }
    plain = to_plain(options)
    assert from_plain(json.loads(json.dumps(plain))) == options
    assert from_plain(yaml.safe_load(yaml.safe_dump(plain))) == options


def test_paths_become_text_and_tuples_lists() -> None:
    assert from_plain(to_plain({"p": Path("a/b"), "t": (1, 2)})) == {"p": "a/b", "t": [1, 2]}
