"""Cleaning and packing a folder of images beside Pillow alone, and the second start.

python benchmarks/pack.py ROOT    (with train/<class>/*.jpg, e.g. data/cifar10)
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.image_folder import ImageFolder
from lightning_base.clean.cleaning import Cleaning


def main(root: str) -> None:
    """Prints the seconds of Pillow alone, the first start, the second, and one with near duplicates looked for."""
    files = [
        path for path in sorted(Path(root, "train").rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    ]
    begin = time.perf_counter()
    for path in files:
        with Image.open(path) as image:
            np.asarray(image.convert("RGB"))
    print(f"Pillow alone, nothing checked or kept: {len(files)} images in {time.perf_counter() - begin:.2f} s")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LIGHTNING_BASE_CACHE"] = cache
        for what, near in (
            ("first start", "skip"),
            ("second start", "skip"),
            ("near duplicates", "keep"),
            ("again", "keep"),
        ):
            begin = time.perf_counter()
            data = ImageFolder(root=root, clean=Cleaning(near_duplicate=near))
            pool = data.samples("pool")
            fingerprint = pool.fingerprint
            seconds = time.perf_counter() - begin
            found = data.findings["pool"]["kind"].value_counts().to_dict()
            print(f"{what}: {len(pool)} images in {seconds:.2f} s; findings {found}; fingerprint {fingerprint[:12]}")


if __name__ == "__main__":
    main(sys.argv[1])
