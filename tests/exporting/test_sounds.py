"""Claims about exported models of sounds and texts: files and lines are answered as predict answers them."""

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from lightning_base.runtime.errors import InputError
from lightning_base.runtime.model import load
from tests.exporting.helpers import answers, assert_classes_equal, exported, predicted, trained
from tests.helpers import shared


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A network that has heard some spoken digits, and its export."""
    folder = tmp_path_factory.mktemp("spoken")
    with tarfile.open(shared("fsdd.tar.gz")) as archive:
        members = [one for one in archive if one.name.endswith(("_0.wav", "_1.wav"))]
        archive.extractall(folder, members, filter="data")
    (root,) = {path.parent for path in folder.rglob("*.wav")}
    run = trained(folder, "fit", "fsdd_cnn", data__root=str(root), trainer__max_epochs=1)
    return run, exported(run, samples=30)


def test_sounds_of_other_rates_channels_and_formats(digits: tuple[Any, Path], tmp_path: Path) -> None:
    run, folder = digits
    rng, home = np.random.default_rng(0), tmp_path / "new"
    home.mkdir()
    wave = np.sin(np.arange(9000) / 9) * np.linspace(1, 0, 9000) * 0.5 + rng.normal(0, 0.01, 9000)
    soundfile.write(home / "a.wav", wave[:5000], 8000)
    soundfile.write(home / "b.wav", np.stack([wave, -wave / 2], axis=1), 16000)
    soundfile.write(home / "c.flac", wave, 22050)
    soundfile.write(home / "d.wav", 2 * wave, 8000, subtype="FLOAT")
    soundfile.write(home / "e.wav", wave, 8000, subtype="PCM_24")
    soundfile.write(home / "f.ogg", wave, 16000)
    soundfile.write(home / "g.wav", wave[:300], 8000, subtype="ULAW")
    expected = predicted(run, home)
    found = answers(folder, *sorted(home.iterdir()))
    assert_classes_equal(found, expected)
    for path in sorted(home.iterdir()):
        (alone := tmp_path / path.stem).mkdir()
        (alone / path.name).write_bytes(path.read_bytes())
        assert_classes_equal(answers(folder, path), predicted(run, alone))


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound" * 10, b"RIFF\xff\xff\xff\x7fWAVEfmt " + bytes(30)])
def test_what_is_no_sound_is_refused(digits: tuple[Any, Path], content: bytes) -> None:
    with pytest.raises(InputError, match="sound"):
        load(digits[1]).read_file(content)


def test_a_text_is_divided_as_in_training(tmp_path: Path) -> None:
    files = {}
    for name in ("neg", "pos"):
        raw = (shared("rt-polarity") / f"rt-polarity.{name}").read_text(encoding="latin-1").splitlines()[:300]
        (tmp_path / name).write_text("\n".join(raw), encoding="utf-8")
        files[name] = str(tmp_path / name)
    run = trained(
        tmp_path,
        "crossval",
        "rt_polarity_gru",
        data__files=files,
        data__encoding="utf-8",
        trainer__max_epochs=1,
        data__split={"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}},
    )
    folder = exported(run, samples=30)
    lines = ["A FINE, funny film -- it's 'good'", "bad", "naïve café … 3.5 stars"]
    lines += [" ".join(["dull"] * 400), "xyzzy plugh"]
    (tmp_path / "new.txt").write_text("\n".join(lines), encoding="utf-8")
    expected = predicted(run, tmp_path / "new.txt")
    model = load(folder)
    found = model.run([model.read({"text": line}) for line in lines])
    assert_classes_equal(found, expected)
    assert found[4]["notes"] == ["2 of 2 words were not seen in training"]
    assert found[3]["notes"] == ["cut after 256 of 400 words"]
    assert model.read_file("﻿bad".encode())["text"] == ["bad"]
    assert model.run(model.read_rows(b"text\nbad\n")) == [found[1]]
    members = [member["text"].number for member in model.inputs.members]
    assert members[0] != members[1]  # each fold has words of its own
    for given in ("", "  ", "\0", "\ud800", 3, None, ["a"]):
        with pytest.raises(InputError, match="text: "):
            model.read({"text": given})
