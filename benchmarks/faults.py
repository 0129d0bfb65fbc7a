"""Plants faults among image files and counts what cleaning finds: python benchmarks/faults.py data/cifar10/train."""

import argparse
import io
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from datamodules.image_folder import ImageFolder
from lightning_base.clean.cleaning import Cleaning

# planted fault: the kinds of finding that tell of it. A copy encoded as the file was can have its very pixels.
KINDS = {
    "truncated": ("unreadable",),
    "0 byte": ("unreadable",),
    "text": ("unreadable",),
    "exact copy": ("duplicate",),
    "other label": ("conflict",),
    "re-encoded": ("near_duplicate", "duplicate"),
    "grey": ("mode",),
    "other size": ("size",),
}
COPIES = ("exact copy", "other label", "re-encoded")


@dataclass(frozen=True)
class Fault:
    """A planted file, and the clean file it is a copy of, if it is one; both are paths from the folder."""

    kind: str
    id: str
    original: str | None = None


def plant(source: Path, out: Path, n: int, faults: int, seed: int = 0) -> list[Fault]:
    """Writes a folder of class folders with n images, `faults` of them with a fault, in turn of each kind.

    source: class folders of colour JPEG files, of which n are drawn.
    out: the folder to write.
    """
    rng = np.random.default_rng(seed)
    files = sorted(path for path in source.glob("*/*.jpg") if not path.name.startswith("."))
    drawn = [files[i] for i in rng.permutation(len(files))[:n]]
    classes = sorted({path.parent.name for path in files})
    for name in classes:
        (out / name).mkdir(parents=True)
    clean, spoilt = drawn[faults:], drawn[:faults]
    for path in clean:
        shutil.copyfile(path, out / path.parent.name / path.name)
    planted: list[Fault] = []
    for i, path in enumerate(spoilt):
        kind = list(KINDS)[i % len(KINDS)]
        if kind in COPIES:
            path = clean[i]
        label, data = path.parent.name, path.read_bytes()
        if kind == "other label":
            label = classes[(classes.index(label) + int(rng.integers(1, len(classes)))) % len(classes)]
        target = out / label / f"{rng.integers(1 << 40):x}.jpg"
        target.write_bytes(_spoil(kind, data, rng))
        original = f"{path.parent.name}/{path.name}" if kind in COPIES else None
        planted.append(Fault(kind, f"{label}/{target.name}", original))
    return planted


def _spoil(kind: str, data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes of a file with the fault."""
    if kind == "truncated":
        return data[: int(len(data) * rng.uniform(0.3, 0.95))]
    if kind == "0 byte":
        return b""
    if kind == "text":
        return b"This is no image, whatever its name says.\n"
    if kind in ("exact copy", "other label"):
        return data
    image, out = Image.open(io.BytesIO(data)), io.BytesIO()
    if kind == "grey":
        image = image.convert("L")
    if kind == "other size":
        image = image.resize((int(rng.integers(20, 31)), int(rng.integers(33, 64))))
    image.save(out, "JPEG", quality=int(rng.integers(50, 91)) if kind == "re-encoded" else 95)
    return out.getvalue()


def findings(folder: Path) -> pd.DataFrame:
    """What cleaning finds in the folder, where every kind is searched and every finding dropped."""
    drop = Cleaning(
        unreadable="drop", mode="drop", size="drop", duplicate="drop", near_duplicate="drop", conflict="drop"
    )
    data = ImageFolder(root=str(folder), clean=drop)
    data.samples("pool")
    return data.findings["pool"]


def judge(planted: list[Fault], found: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Planted, found and missed faults by kind; and the findings that tell of no planted fault.

    A copy is found where either of the two files is named.
    """
    told = set(zip(found["id"], found["kind"], strict=True))
    rows, explained = [], set()
    for fault in planted:
        about = {(name, kind) for name in (fault.id, fault.original) if name for kind in KINDS[fault.kind]}
        if fault.kind == "other label":  # of the same content, and so duplicates too where conflicts are kept
            about |= {(fault.id, "duplicate"), (fault.original or "", "duplicate")}
        rows.append((fault.kind, any((name, kind) in told for name, kind in about)))
        explained |= about
    table = pd.DataFrame(rows, columns=["fault", "found"]).groupby("fault", sort=False)["found"].agg(["size", "sum"])
    table.columns = ["planted", "found"]
    extra = found[[pair not in explained for pair in zip(found["id"], found["kind"], strict=True)]]
    return table.assign(missed=table["planted"] - table["found"]), extra


def main() -> None:
    """Plants, cleans, and prints what was found, missed and found without a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="class folders of JPEG files, such as CIFAR-10's train")
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LIGHTNING_BASE_CACHE"] = f"{folder}/cache"
        planted = plant(args.images, Path(folder) / "images", args.n, args.faults, args.seed)
        start = time.perf_counter()
        found = findings(Path(folder) / "images")
        seconds = time.perf_counter() - start
        table, extra = judge(planted, found)
        print(table.to_string())
        clean = args.n - args.faults
        print(f"findings on the {clean} clean files: {len(extra)} ({len(extra) / clean:.2%}); {seconds:.2f} s")
        if len(extra):
            print(extra.to_string(index=False))


if __name__ == "__main__":
    main()
