"""Data that is clean but for one planted fault, which the audit suspects; for tests and benchmarks/suspicions.py."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_diabetes, load_sample_images
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import NearestNeighbors

from datamodules.arrays import Arrays
from datamodules.image_folder import ImageFolder
from datamodules.table import Table
from datamodules.text import Text
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import BaseDataModule

Random = np.random.Generator
SHARE = 0.1  # of the samples that get a changed copy
SENTENCES = (
    "the plot never finds its feet",
    "a warm and clever film about two sisters",
    "he plays the part with quiet force",
    "nothing here is worth the price of a ticket",
    "it ends where better stories would begin",
    "their long walk home is the best scene of the year",
)


def cancer() -> pd.DataFrame:
    """Breast cancer: 569 rows of 30 columns, and `target`."""
    frame: pd.DataFrame = load_breast_cancer(as_frame=True).frame
    return frame


def table(folder: Path, frame: pd.DataFrame, **options: object) -> Table:
    """The frame as a table, five folds drawn at random."""
    frame.to_csv(folder / "table.csv", index=False)
    given: dict[str, object] = {
        "split": StratifiedKFold(5, shuffle=True, random_state=0),
        "target": "target",
        **options,
    }
    return Table(path=str(folder / "table.csv"), **given)  # type: ignore[arg-type]


def strong_class(folder: Path, rng: Random) -> BaseDataModule:
    """A column whose AUC is about 0.99, far from a balanced accuracy of 0.99."""
    frame = cancer()
    return table(folder, frame.assign(score=3.3 * frame["target"] + rng.normal(size=len(frame))))


def strong_value(folder: Path, rng: Random) -> BaseDataModule:
    """A column whose R² is about 0.9875."""
    frame: pd.DataFrame = load_diabetes(as_frame=True).frame
    noise = rng.normal(size=len(frame)) * np.sqrt(0.0125 / 0.9875) * frame["target"].std()
    return table(folder, frame.assign(bill=frame["target"] + noise), split=KFold(5, shuffle=True, random_state=0))


def gaps(folder: Path, rng: Random) -> BaseDataModule:
    """A column that is measured in half of one class, and in a few rows of the other."""
    frame = cancer()
    there = rng.random(len(frame)) < np.where(frame["target"] == 0, 0.5, 0.003)
    return table(folder, frame.assign(biopsy=np.where(there, rng.normal(size=len(frame)), np.nan).round(3)))


def scaled(folder: Path, rng: Random) -> BaseDataModule:
    """Two columns standardised over the whole file."""
    frame = cancer()
    for name in rng.permutation(frame.columns[:30])[:2]:
        frame[name] = (frame[name] - frame[name].mean()) / frame[name].std()
    return table(folder, frame)


def group_names(folder: Path, rng: Random) -> BaseDataModule:
    """Patients of three rows each, two of them written otherwise, so that whole groups are kept apart in vain."""
    frame = cancer()
    number = rng.permutation(len(frame)) // 3
    ways = (lambda n: f"p{n:03d}", lambda n: f"P{n}", lambda n: f"p{n:03d} ")
    names = [ways[i](n) for i, n in zip(rng.integers(0, 3, len(frame)), number, strict=True)]
    return table(folder, frame.assign(patient=names), group="patient", split=None)


def patients(folder: Path, rng: Random, scattered: bool = False) -> BaseDataModule:
    """A column of patients' numbers, four to six rows of one target each, one after another or anywhere."""
    frame = cancer().sample(frac=1, random_state=int(rng.integers(1000)))
    frame = frame.sort_values("target", kind="stable").reset_index(drop=True)
    number = rng.permutation(1000)[np.repeat(np.arange(len(frame)), rng.integers(4, 7, len(frame)))[: len(frame)]]
    frame["number"] = number  # a few have both targets: those at the border of the classes
    blocks = [block for _, block in frame.groupby("number", sort=False)]
    frame = pd.concat([blocks[i] for i in rng.permutation(len(blocks))])
    return table(folder, frame.sample(frac=1, random_state=0) if scattered else frame)


def scattered_patients(folder: Path, rng: Random) -> BaseDataModule:
    """The same in any order."""
    return patients(folder, rng, scattered=True)


def dates(folder: Path, rng: Random) -> BaseDataModule:
    """A column of dates."""
    frame = cancer()
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, len(frame)), unit="D")
    return table(folder, frame.assign(seen=days.strftime("%Y-%m-%d")))


def rounded_rows(folder: Path, rng: Random) -> BaseDataModule:
    """A tenth of the rows once more, rounded to three digits."""
    frame = cancer()
    copies = frame.sample(round(SHARE * len(frame)), random_state=int(rng.integers(1000)))
    for name in frame.columns[:30]:
        digits = 2 - int(np.floor(np.log10(frame[name].max())))
        copies[name] = copies[name].round(digits)
    return table(folder, pd.concat([frame, copies]))


def smote(folder: Path, rng: Random) -> BaseDataModule:
    """Rows of the rarer class made between neighbours until classes are alike (Chawla et al. 2002, k = 5)."""
    frame = cancer()
    rare = frame[frame["target"] == 0].drop(columns="target").to_numpy()
    n = int((frame["target"] == 1).sum() - len(rare))
    near = NearestNeighbors(n_neighbors=6).fit(rare).kneighbors(rare, return_distance=False)[:, 1:]
    base = rng.integers(0, len(rare), n)
    other = near[base, rng.integers(0, 5, n)]
    made = rare[base] + rng.random((n, 1)) * (rare[other] - rare[base])
    return table(folder, pd.concat([frame, pd.DataFrame(made, columns=frame.columns[:30]).assign(target=0)]))


def sentences(folder: Path, rng: Random) -> BaseDataModule:
    """Texts of random words, a tenth of them once more with capitals and many marks."""
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    texts = [" ".join(rng.choice(words, rng.integers(6, 12))) for _ in range(400)]
    copies = [" ... ".join(texts[i].upper().split()) + " !" for i in rng.permutation(400)[: round(SHARE * 400)]]
    frame = pd.DataFrame({"text": [*texts, *copies]})
    frame["target"] = np.where(rng.random(len(frame)) < 0.5, "a", "b")
    frame.to_csv(folder / "texts.csv", index=False)
    return Text(path=str(folder / "texts.csv"), split=KFold(5, shuffle=True, random_state=0))


def crops(rng: Random, n: int = 120, side: int = 40) -> npt.NDArray[np.uint8]:
    """(n, side, side, 3) parts of two photographs that do not overlap."""
    photographs = load_sample_images().images
    places = [
        (p, top, left) for p in range(2) for top in range(0, 427 - side, side) for left in range(0, 640 - side, side)
    ]
    chosen = [places[i] for i in rng.permutation(len(places))]
    parts = [photographs[p][top : top + side, left : left + side] for p, top, left in chosen]
    return np.stack([part for part in parts if part[4:-4, 4:-4].std() > 25][:n])


def pictures(folder: Path, x: npt.NDArray[np.uint8], rng: Random) -> BaseDataModule:
    """Images (N, H, W, 3) with classes at random."""
    np.savez(folder / "images.npz", x=x.transpose(0, 3, 1, 2), y=rng.integers(0, 2, len(x)))
    return Arrays(source=str(folder / "images.npz"), split=KFold(5, shuffle=True, random_state=0))


def flipped(folder: Path, rng: Random) -> BaseDataModule:
    """Images of 32×32, a tenth of them once more, flipped."""
    x = crops(rng)[:, 4:36, 4:36]
    return pictures(folder, np.concatenate([x, x[: round(SHARE * len(x)), :, ::-1]]), rng)


def shifted(folder: Path, rng: Random) -> BaseDataModule:
    """… shifted by up to four pixels, black coming in, and half of them flipped, as CIFAR-10 is augmented."""
    x = crops(rng)[:, 4:36, 4:36]
    copies = []
    for image in x[: round(SHARE * len(x))]:
        top, left = rng.integers(0, 9, 2)
        padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
        copies.append(padded[top : top + 32, left : left + 32][:, :: rng.choice([-1, 1])])
    return pictures(folder, np.concatenate([x, np.stack(copies)]), rng)


def cropped(folder: Path, rng: Random) -> BaseDataModule:
    """… cut to seven eighths or three quarters of their side, and enlarged."""
    x = crops(rng)[:, 4:36, 4:36]
    copies = []
    for image in x[: round(SHARE * len(x))]:
        side = int(rng.choice([24, 28]))
        top, left = rng.integers(0, 33 - side, 2)
        part = Image.fromarray(image[top : top + side, left : left + side])
        copies.append(np.asarray(part.resize((32, 32), Image.Resampling.BILINEAR)))
    return pictures(folder, np.concatenate([x, np.stack(copies)]), rng)


def image_files(folder: Path, rng: Random, how: str) -> BaseDataModule:
    """Two classes of files that differ in mode, size or type alone."""
    for i, image in enumerate(crops(rng, 160)):
        label = "ab"[i % 2]
        odd = label == "b" and i > 3  # two files of b are as those of a
        (folder / "images" / label).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image)
        picture = picture.convert("L") if odd and how == "mode" else picture
        picture = picture.resize((44, 40)) if odd and how == "size" else picture
        picture.save(folder / "images" / label / f"{i:03d}.{'bmp' if odd and how == 'type' else 'png'}")
    size = (40, 40) if how == "size" else None
    return ImageFolder(root=str(folder / "images"), image_size=size, clean=Cleaning(size="fix"))


PLANTED: dict[str, tuple[str, Callable[[Path, Random], BaseDataModule]]] = {
    "AUC of 0.99": ("target", strong_class),
    "R² of 0.9875": ("target", strong_value),
    "gaps in one class": ("missing", gaps),
    "two of 30 columns standardised": ("statistics", scaled),
    "groups written in three ways": ("group", group_names),
    "patients one after another": ("undeclared_group", patients),
    "patients in any order": ("undeclared_group", scattered_patients),
    "dates": ("undeclared_time", dates),
    "mode of files": ("files", lambda folder, rng: image_files(folder, rng, "mode")),
    "size of files": ("files", lambda folder, rng: image_files(folder, rng, "size")),
    "type of files": ("files", lambda folder, rng: image_files(folder, rng, "type")),
    "images flipped": ("changed_copy", flipped),
    "images shifted by up to 4 pixels": ("changed_copy", shifted),
    "images cropped and enlarged": ("changed_copy", cropped),
    "rows rounded to three digits": ("changed_copy", rounded_rows),
    "texts with other marks and capitals": ("changed_copy", sentences),
    "SMOTE": ("interpolated", smote),
}
