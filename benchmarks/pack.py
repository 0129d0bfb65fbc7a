"""Cleaning and packing a folder of images, and the second start.

python benchmarks/pack.py ROOT    (e.g. data/cifar10, with train/<class>/*.jpg)
"""

import os
import sys
import tempfile
import time

from datamodules.image_folder import ImageFolder
from lightning_base.clean.cleaning import Cleaning


def main(root: str) -> None:
    """Prints the seconds of the first start, of the second, and of the second with near duplicates looked for."""
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
