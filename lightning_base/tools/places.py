"""Which options of the shipped data modules name where samples are read; without torch."""

import sys
from pathlib import Path

from lightning_base.tools.shipped import shipped

POOL = {  # the option of each of our data modules that names what is trained on
    "datamodules.arrays.Arrays": "source",
    "datamodules.detection.Detection": "root",
    "datamodules.image_folder.ImageFolder": "root",
    "datamodules.image_masks.ImageMasks": "images",
    "datamodules.ratings.Ratings": "path",
    "datamodules.sound.Sound": "root",
    "datamodules.speech.Speech": "root",
    "datamodules.table.Table": "path",
    "datamodules.text.Text": "path",
}
OF_ALL = ("fetch", "labels", "predict")
MORE = {  # beside POOL and OF_ALL
    "datamodules.detection.Detection": ("annotations", "images"),
    "datamodules.image_folder.ImageFolder": ("label_pairs", "test_label_pairs"),
    "datamodules.image_masks.ImageMasks": ("masks", "test_images", "test_masks"),
    "datamodules.ratings.Ratings": ("test_path",),
    "datamodules.speech.Speech": ("transcripts", "test_root", "test_transcripts"),
    "datamodules.streaming.Streaming": ("shards", "test_shards", "cache"),
    "datamodules.table.Table": ("test_path", "label_pairs", "test_label_pairs"),
    "datamodules.text.Text": ("files", "test_path", "test_files"),
}


def places(class_path: str) -> tuple[str, ...]:
    """The options of a data module that name where samples are read; none for one that is not shipped.

    What another's options mean, only their author knows: `a.csv` may hold samples, or the strength of an augmentation.

    Args:
        class_path: its dotted name, imported already.
    """
    name = class_path.removeprefix("lightning_base.")
    file = getattr(sys.modules.get(class_path.rpartition(".")[0]), "__file__", None)
    if name not in POOL | MORE or file is None or Path(file).resolve().parent != shipped("datamodules").resolve():
        return ()
    return (*([POOL[name]] if name in POOL else []), *MORE.get(name, ()), *OF_ALL)
