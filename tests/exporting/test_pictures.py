"""Claims about exported models of images: every file that predict reads is answered as predict answers it."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

import lightning_base as lb
from lightning_base.runtime.errors import InputError
from lightning_base.runtime.model import load
from tests.exporting.helpers import answers, assert_classes_equal, exported, predicted, trained
from tests.helpers import shared

RNG = np.random.default_rng(0)


def crops(n: int) -> list[tuple[str, Image.Image]]:
    """Pieces of scikit-learn's two photographs, and which each is of."""
    found = []
    for name, photograph in zip(("china", "flower"), load_sample_images().images, strict=True):
        for _ in range(n):
            y, x = RNG.integers(0, 380), RNG.integers(0, 590)
            found.append((name, Image.fromarray(photograph[y : y + 40, x : x + 50])))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cross-validation of a small residual network on such pieces, exported."""
    folder = tmp_path_factory.mktemp("pictures")
    for i, (name, image) in enumerate(crops(40)):
        place = folder / "images" / "train" / name
        place.mkdir(parents=True, exist_ok=True)
        image.save(place / f"{i:03d}.png")
    run = trained(
        folder,
        "crossval",
        "cifar10_resnet",
        data__root=str(folder / "images"),
        data__image_size=[24, 32],
        trainer__max_epochs=1,
        data__split={"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}},
    )
    exported(run, samples=40)
    return run


def export_of(run: Any) -> Path:
    """Where it was exported to."""
    return Path(run.directory).parent / "export"


def test_files_of_every_kind_are_read_as_predict_reads_them(run: Any, tmp_path: Path) -> None:
    ((_, image),) = crops(1)[:1]
    home = tmp_path / "new"
    home.mkdir()
    image.save(home / "a.png")
    image.save(home / "b.jpg", quality=90)
    turned = Image.Exif()
    turned[274] = 6
    image.save(home / "c.jpg", exif=turned)
    image.convert("L").save(home / "d.png")
    image.convert("P").save(home / "e.gif")
    image.convert("RGBA").save(home / "f.webp", lossless=True)
    image.resize((301, 17)).save(home / "g.bmp")
    image.convert("1").save(home / "h.png")
    expected = predicted(run, home)
    found = answers(export_of(run), *sorted(home.iterdir()))
    assert list(expected["id"]) == [path.name for path in sorted(home.iterdir())]
    assert_classes_equal(found, expected)
    assert len({answer["prob"]["china"] for answer in found}) > 5  # they do differ


def test_sixteen_bits_are_brought_to_the_scale_of_eight(run: Any, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    grey = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep" / "a.png")
    found = answers(export_of(run), tmp_path / "deep" / "a.png")
    assert_classes_equal(found, predicted(run, tmp_path / "deep"))


def test_base64_and_a_file_are_one_input(run: Any, tmp_path: Path) -> None:
    ((_, image),) = crops(1)[:1]
    image.save(tmp_path / "a.png")
    model, raw = load(export_of(run)), (tmp_path / "a.png").read_bytes()
    text = base64.b64encode(raw).decode()
    given = [model.read({"image": one}) for one in (text, f"data:image/png;base64,{text}")]
    found = model.run([model.read_file(raw), *given])
    assert found[0] == found[1] == found[2]


def bomb() -> bytes:
    """A PNG that says to have 50,000 × 50,000 pixels."""
    from io import BytesIO
    from zlib import crc32

    file = BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    raw = bytearray(file.getvalue())
    raw[16:24] = (50_000).to_bytes(4, "big") * 2
    raw[29:33] = crc32(bytes(raw[12:29])).to_bytes(4, "big")
    return bytes(raw)


@pytest.mark.parametrize("content", [b"", b"no image", b"%PDF-1.7", bomb(), b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_image_is_refused_by_field(run: Any, content: bytes) -> None:
    model = load(export_of(run))
    with pytest.raises(InputError) as refused:
        model.read_file(content)
    assert refused.value.field == "image"
    with pytest.raises(InputError):
        model.read({"image": base64.b64encode(content).decode()})


def test_boxes_are_in_the_pixels_of_the_image_that_was_given(tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(shared("bccd.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = {path.parent for path in tmp_path.rglob("Annotations")}
    small = {"data__root": str(root), "data__image_size": [96, 128]}
    run = trained(tmp_path, "fit", "bccd_centre", trainer__max_epochs=2, **small)
    folder = exported(run, samples=12)
    files = sorted((root / "JPEGImages").iterdir())[:4]
    (tmp_path / "new").mkdir()
    for path in files:
        (tmp_path / "new" / path.name).write_bytes(path.read_bytes())
    expected = predicted(run, tmp_path / "new")
    for path, answer, (_, row) in zip(files, answers(folder, *files), expected.iterrows(), strict=True):
        with Image.open(path) as image:
            width, height = image.size
        assert answer["size"] == [height, width]
        scale = np.array([width / 128, height / 96] * 2)
        np.testing.assert_allclose(answer["scores"], np.asarray(row["scores"], float), atol=1e-4)
        boxes = np.stack([np.asarray(box, float) for box in row["boxes"]]) * scale
        np.testing.assert_allclose(np.array(answer["boxes"])[:5], boxes[:5], atol=0.5)
        assert answer["labels"][:5] == list(row["labels"])[:5]


def test_arrays_are_asked_as_nested_lists(tmp_path: Path) -> None:
    run = trained(tmp_path, "fit", "digits_cnn", trainer__max_epochs=1)
    folder = exported(run, samples=10)
    model = load(folder)
    x = np.asarray(RNG.integers(0, 17, (6, 1, 8, 8)), dtype=np.uint8)
    np.savez(tmp_path / "new.npz", x=x)
    expected = predicted(run, tmp_path / "new.npz")
    assert_classes_equal(model.run([model.read({"x": one.tolist()}) for one in x]), expected)
    for given in (x[0, 0].tolist(), [[[0.5] * 8] * 8], [[[300] * 8] * 8], [[["1"] * 8] * 8], "x", None):
        with pytest.raises(InputError, match="x: "):
            model.read({"x": given})


def test_a_result_that_was_left_is_found_from_another_folder(tmp_path: Path) -> None:
    run = trained(tmp_path, "fit", "digits_cnn", trainer__max_epochs=1)
    assert run.directory.is_absolute()
    assert len(lb.load(run.directory).predictions) == run.result.n_val
