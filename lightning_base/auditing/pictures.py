"""A picture of training samples before and after augmentation, that a person can look at."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lightning_base.auditing.sheet import INK, LINE, PAPER, font, grid, shortened, stacked
from lightning_base.data.check import try_augmentations
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.preprocess.base import Preprocess
from lightning_base.preprocess.several import Several
from lightning_base.preprocess.standardize import Standardize
from lightning_base.preprocess.table import TablePreprocess
from lightning_base.preprocess.vocabulary import Vocabulary
from lightning_base.samples.batch import Batch, Boxes, Spans
from lightning_base.samples.payload import Rows, is_ragged
from lightning_base.samples.samples import Samples
from lightning_base.samples.spans import UNIT
from lightning_base.tools.files import replace

Painter: TypeAlias = Callable[[Batch, int], Image.Image]
SMALLEST, LARGEST = 96, 320  # pixels of a picture's shorter and longer side
TEXT = (240, 150)  # pixels of a cell of words or numbers
CHANGED = (190, 30, 30)
CLASSES = ((230, 60, 40), (40, 110, 230), (20, 150, 70), (200, 120, 0), (140, 60, 190), (0, 150, 160))
# five colours of viridis (Smith & van der Walt 2015), from low to high
HEAT = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], dtype=np.float64)


def draw_samples(data: BaseDataModule, path: Path, n: int = 8, copies: int = 7) -> None:
    """Writes a PNG: a row per training sample, first as it is, then as each of the first epochs augments it.

    What is drawn has gone the whole way that a training batch goes; where the preprocessing standardises, that is
    taken back. Images are drawn with their boxes, sound as spectrograms or waves, words and numbers as text, with
    what has changed in red.

    Args:
        data: its preprocessing is fitted, where it was not.
        path: where the picture goes.
        n: most samples.
        copies: epochs, from 0.

    Raises:
        UserError: where an augmentation does not fit the data.
    """
    if not data.preprocess.fitted:
        data.setup("fit")
    try_augmentations(data)
    rows, loader = pick(data, n), data.loader("train")
    before = data.transform(loader.gather(rows))
    batches = [before, *(data.transform(loader.gather(rows, epoch), epoch) for epoch in range(copies))]
    batches = [unscaled(data, batch) for batch in batches]
    paint = painter(data, batches)
    cells = [[paint(batch, i) for batch in batches] for i in range(len(rows))]
    captions = [[caption(data.classes, batch, i) for batch in batches] for i in range(len(rows))]
    heads = ["before", *(f"epoch {epoch}" for epoch in range(copies))]
    ids = [str(name) for name in data.samples("pool").table["id"].to_numpy()[rows]]
    with replace(path) as temporary:
        grid(cells, captions, heads, ids).save(temporary, format="PNG")


def pick(data: BaseDataModule, n: int) -> Rows:
    """At most n training rows, of every class in turn; the same whatever their order."""
    pool, rows = data.samples("pool"), data.rows("train")
    rows = rows[np.argsort(pool.keys[rows], kind="stable")]
    if pool.classes and pool.target is not None:
        turn = pd.Series(pool.target[rows]).groupby(pool.target[rows]).cumcount().to_numpy()
        rows = rows[np.lexsort([pool.target[rows], turn])]
    return np.asarray(rows[:n], dtype=np.int64)


def unscaled(data: BaseDataModule, batch: Batch) -> Batch:
    """The batch with standardised inputs as they were in the source."""
    preprocess = data.preprocess
    if isinstance(preprocess, Several):
        for name, part in preprocess.parts.items():
            batch = batch.having(name, _unscaled(part, batch.part(name)))
        return batch
    return _unscaled(preprocess, batch)


def _unscaled(preprocess: Preprocess, batch: Batch) -> Batch:
    if not isinstance(preprocess, Standardize):
        return batch
    return batch._replace(x=preprocess.undone(batch.x))


def painter(data: BaseDataModule, batches: Sequence[Batch]) -> Painter:
    """A function that paints a sample of these batches, the first of which is not augmented, with all its inputs."""
    pool, preprocess = data.samples("pool"), data.preprocess
    if not isinstance(batches[0].x, dict):
        return input_painter(pool, preprocess, batches)
    of = preprocess.parts if isinstance(preprocess, Several) else {}
    painters = {
        name: input_painter(part, of.get(name, preprocess), [batch.part(name) for batch in batches])
        for name, part in pool.parts.items()
    }
    return lambda batch, i: stacked([paint(batch.part(name), i) for name, paint in painters.items()])


def input_painter(pool: Samples, preprocess: Preprocess, batches: Sequence[Batch]) -> Painter:
    """A function that paints one input of a sample of these batches."""
    inputs, x = pool.inputs, batches[0].x
    if x.ndim == 2:
        if not x.is_floating_point():
            return lambda batch, i: words(preprocess, batch, i, batches[0])
        if is_ragged(inputs):
            peak = float(x.abs().max()) or 1.0
            return lambda batch, i: wave(batch, i, peak)
        shown = columns(pool, preprocess, batches)
        return lambda batch, i: numbers(batch, i, batches[0], shown)
    if x.ndim == 4 and not is_ragged(inputs):
        low, high = shades(x, stored=inputs.dtype)
        beside = target_painter(batches)
        if beside is None:
            return lambda batch, i: image(pool.classes, batch, i, low, high)
        return lambda batch, i: stacked([image(pool.classes, batch, i, low, high), beside(batch, i)])
    low, high = float(x.min()), float(x.max())
    return lambda batch, i: heat(batch, i, low, high)


def target_painter(batches: Sequence[Batch]) -> Painter | None:
    """A function that paints the masks, or images, that are the targets of images; None where they are no such."""
    x, y = batches[0].x, batches[0].y
    if not isinstance(y, Tensor) or y.ndim not in (3, 4) or y.shape[-2:] != x.shape[-2:]:
        return None
    low, high = float(y.min()), float(y.max())

    def paint(batch: Batch, i: int) -> Image.Image:
        assert isinstance(batch.y, Tensor)
        values = batch.y[:, None] if batch.y.ndim == 3 else batch.y
        return image((), batch._replace(x=values.float(), y=None), i, low, high)

    return paint


def shades(x: torch.Tensor, stored: np.dtype[Any]) -> tuple[float, float]:
    """The values drawn black and white: 0 and 255 of images stored as uint8, else the least and the greatest."""
    low, high = float(x.min()), float(x.max())
    return (0.0, 255.0 if high > 64 else high) if stored == np.uint8 else (low, high)  # digits have sixteen shades


def unit(values: torch.Tensor, low: float, high: float) -> npt.NDArray[np.float64]:
    """Values from low to high as 0 to 1."""
    return np.asarray(((values.double() - low) / ((high - low) or 1.0)).clamp(0, 1))


def scaled(picture: Image.Image) -> tuple[Image.Image, float]:
    """The picture at a size that can be looked at, whole pixels where it grows, and by how much it grew."""
    factor: float = 1.0
    if min(picture.size) < SMALLEST:
        factor = float(min(-(-SMALLEST // min(picture.size)), max(4 * LARGEST // max(picture.size), 1)))
    elif max(picture.size) > LARGEST:
        factor = LARGEST / max(picture.size)
    size = (max(round(picture.width * factor), 1), max(round(picture.height * factor), 1))
    return picture.resize(size, Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX), factor


def image(classes: Sequence[str], batch: Batch, i: int, low: float, high: float) -> Image.Image:
    """An image (C, H, W) in colour where it has three channels, else the mean of its channels in grey; with boxes."""
    values = unit(batch.x[i], low, high)
    values = values if len(values) == 3 else np.repeat(values.mean(axis=0, keepdims=True), 3, axis=0)
    pixels = np.round(255 * values.transpose(1, 2, 0)).astype(np.uint8)
    picture, factor = scaled(Image.fromarray(pixels))
    if isinstance(batch.y, Boxes):
        draw = ImageDraw.Draw(picture)
        for corners, label in zip(batch.y.boxes[i].tolist(), batch.y.labels[i].tolist(), strict=True):
            if label < 0:  # padding
                continue
            colour, (x1, y1, x2, y2) = CLASSES[label % len(CLASSES)], (round(factor * c) for c in corners)
            if x2 <= x1 or y2 <= y1:
                continue
            draw.rectangle((x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)), outline=colour, width=2)
            name = classes[label] if label < len(classes) else str(label)
            draw.text((x1 + 3, y1 + 1), name, fill=colour, font=font(11), stroke_width=1, stroke_fill=PAPER)
    return picture


def heat(batch: Batch, i: int, low: float, high: float) -> Image.Image:
    """A spectrogram (…, M, T) in colours from low (violet) to high (yellow), low frequencies at the bottom."""
    values = unit(batch.x[i], low, high)
    values = values.reshape(-1, values.shape[-1])[::-1]
    place = values * (len(HEAT) - 1)
    colours = [np.interp(place, np.arange(len(HEAT)), HEAT[:, c]) for c in range(3)]
    return scaled(Image.fromarray(np.stack(colours, axis=-1).round().astype(np.uint8)))[0]


def wave(batch: Batch, i: int, peak: float) -> Image.Image:
    """A wave (T,) as the least and greatest value that fall on each pixel."""
    length = int(batch.lengths[i]) if batch.lengths is not None else batch.x.shape[1]
    values = np.clip(batch.x[i, :length].double().numpy() / peak, -1, 1)
    picture = Image.new("RGB", (LARGEST, SMALLEST), PAPER)
    draw = ImageDraw.Draw(picture)
    edges = np.linspace(0, len(values), LARGEST + 1).astype(np.int64)
    for column, (start, stop) in enumerate(itertools.pairwise(edges)):
        part = values[start : max(stop, start + 1)]
        if len(part):
            top, bottom = ((1 - v) / 2 * (SMALLEST - 1) for v in (part.max(), part.min()))
            draw.line((column, top, column, bottom), fill=CLASSES[1])
    return picture


def words(preprocess: Preprocess, batch: Batch, i: int, before: Batch) -> Image.Image:
    """A text's words (T,) in lines; red where another word stands than before."""
    known = preprocess.words if isinstance(preprocess, Vocabulary) else []
    length = int(batch.lengths[i]) if batch.lengths is not None else batch.x.shape[1]
    codes, was = batch.x[i, :length].tolist(), before.x[i].tolist()
    picture = Image.new("RGB", TEXT, PAPER)
    draw, x, y = ImageDraw.Draw(picture), 3.0, 2
    for place, code in enumerate(codes):
        name = {0: "_", 1: "?"}.get(code, str(code)) if known else str(code)
        word = known[code - 2] if known and 2 <= code < len(known) + 2 else name
        width = draw.textlength(word + " ", font=font())
        if x > 3 and x + width > TEXT[0] - 3:
            x, y = 3.0, y + LINE
        if y + LINE > TEXT[1]:
            break
        draw.text((x, y), word, fill=INK if place < len(was) and was[place] == code else CHANGED, font=font())
        x += width
    return picture


def columns(pool: Samples, preprocess: Preprocess, batches: Sequence[Batch]) -> list[tuple[int, str]]:
    """The columns (place, name) that there is room for: those that some epoch changes before the others."""
    width = batches[0].x.shape[1]
    names = [feature.name for feature in pool.features]
    if isinstance(preprocess, TablePreprocess):  # numbers, flags of missing ones, categories
        state = preprocess.state()
        flagged = [name for name, flag in zip(state["numbers"], state["flags"].tolist(), strict=True) if flag]
        names = [*state["numbers"], *preprocess.dated(), *(f"{name} missing" for name in flagged)]
        for name, known in state["categories"].items():
            names += [name] if preprocess.encode == "code" else [f"{name}={value}" for value in known]
    names = [names[i] if i < len(names) else f"column {i}" for i in range(width)]
    moved = torch.stack([(b.x != batches[0].x).any(dim=0) for b in batches]).any(dim=0)
    order = sorted(range(width), key=lambda i: (not moved[i], i))[: TEXT[1] // LINE]
    return [(i, names[i]) for i in sorted(order)]


def numbers(batch: Batch, i: int, before: Batch, shown: Sequence[tuple[int, str]]) -> Image.Image:
    """Some columns of a table's row (F,), a line each; red where the value is another than before."""
    picture = Image.new("RGB", TEXT, PAPER)
    draw = ImageDraw.Draw(picture)
    for line, (place, name) in enumerate(shown):
        value, was = float(batch.x[i, place]), float(before.x[i, place])
        changed = value != was and not (value != value and was != was)
        draw.text((3, line * LINE + 1), shortened(name, 20), fill=INK, font=font())
        place_right = (TEXT[0] - 4, line * LINE + 1)
        draw.text(place_right, f"{value:.4g}", fill=CHANGED if changed else INK, font=font(), anchor="ra")
    return picture


def caption(classes: Sequence[str], batch: Batch, i: int) -> str:
    """A sample's class, the two it has most of where they are mixed, its value, or how many boxes it has."""
    y = batch.y
    if y is None:
        return ""
    if isinstance(y, Boxes):
        return f"{int((y.labels[i] >= 0).sum())} boxes"
    if isinstance(y, Spans):
        return y.answers.strings()[i].split(UNIT)[0]
    if not isinstance(y, Tensor):
        return f"{int(y.lengths[i])} long"
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] != len(classes)):
        return " × ".join(map(str, y.shape[1:])) if y.ndim > 2 else " ".join(f"{value:.4g}" for value in y[i, :4])
    if y.ndim == 2:
        shares, places = y[i].topk(min(2, y.shape[1]))
        pairs = [(s, p) for s, p in zip(shares.tolist(), places.tolist(), strict=True) if s > 0.005]
        return "\n".join(f"{s:.2f} {classes[p]}" if s < 0.995 else classes[p] for s, p in pairs)
    return classes[int(y[i])] if classes else f"{float(y[i]):.4g}"
