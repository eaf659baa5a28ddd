"""FloodNet's questions, as track 2 of its challenge (EARTHVISION 2021) was laid out.

`Images/{Train,Valid,Test}_Image/<id>.JPG` and `Questions/{Training Question,Valid Question,Test_Question}.json`, which
give `Image_ID`, `Question`, `Question_Type` and, for training only, `Ground_Truth`. Only answered questions are read;
they are dealt to parts by image, since nothing published says which of them test.
"""

from __future__ import annotations

from pathlib import Path

from swath.data.classes import Classes
from swath.data.questions import Asked, read_entries
from swath.data.raster import open_raster
from swath.data.scenes import Collection
from swath.data.sources import Source, require_dtype
from swath.data.splits import split_by_group
from swath.data.whole_images import ImageLabel
from swath.errors import DataError, ReadError
from swath.sensors.catalogue import resolve

_FILES = {"Train": "Training Question.json", "Valid": "Valid Question.json", "Test": "Test_Question.json"}


def read_floodnet_vqa(root: str | Path) -> Collection:
    """Open the data set: a scene a question, grouped by picture; the legend are the answers.

    Raises:
        ReadError: If the folder, a picture or the questions are missing or damaged.
        DataError: If no question has an answer, or an entry is incomplete.
    """
    root, asked = Path(root), []
    if not (root / "Questions").is_dir():
        raise ReadError(f"{root} does not hold FloodNet's questions", expected="folders `Images` and `Questions`")
    answers: set[str] = set()
    pictures: dict[Path, Source] = {}
    for folder, file in _FILES.items():
        path = root / "Questions" / file
        for number, entry in read_entries(path, ("Image_ID", "Question")).items() if path.is_file() else ():
            if "Ground_Truth" not in entry:
                continue
            picture = root / "Images" / f"{folder}_Image" / Path(str(entry["Image_ID"])).name
            if picture not in pictures:
                pictures[picture] = open_raster(picture, bands=resolve("rgb"), crs="none")
                require_dtype(pictures[picture], "uint8")
            asked.append((f"{folder} {number}", picture, entry))
            answers.add(str(entry["Ground_Truth"]))
    if not asked:
        raise DataError(f"{root} holds no answered question", expected="`Ground_Truth` in `Training Question.json`")
    # numbers first, in their order
    classes = Classes.of(sorted(answers, key=lambda a: (not a.isdigit(), int(a) if a.isdigit() else 0, a)))
    scenes = tuple(
        Asked(
            number,
            {"image": pictures[picture]},
            ImageLabel(classes.names.index(str(entry["Ground_Truth"])), number),
            group=picture.stem,
            question=str(entry["Question"]),
            kind=str(entry.get("Question_Type", "")),
        )
        for number, picture, entry in asked
    )
    facts = {"origin": "FloodNet, track 2 of the challenge at EARTHVISION 2021", "licence": "CDLA-Permissive-1.0"}
    return split_by_group(Collection(scenes, classes, "FloodNet, questions", facts))
