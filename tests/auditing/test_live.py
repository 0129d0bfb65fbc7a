"""Claims about `audit --live`: new samples of the training role's kind are steady, and what has changed is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold

import lightning_base as lb
from lightning_base.auditing.gate import LeakWarning
from lightning_base.auditing.live import Drift
from lightning_base.cli.entry import main
from lightning_base.data.memory import Memory
from lightning_base.errors import AuditError
from tests.helpers import CONFIGS, Run, read_json, refused, shared

LIVE = Path("runs/credit/audit/live.json")
CREDIT = ("--config", CONFIGS / "german_credit_mlp.yaml", "--data.path", "pool.data", "--name", "credit")
FULL = ("--data.test_size", "null", "--data.split", "lightning_base.splitters.Ratio")
AGE, PURPOSE, MONTHS = 12, 3, 1


@pytest.fixture
def credit(work: Path) -> list[list[str]]:
    """pool.data with 700 rows of German credit, and the other 300."""
    lines = [
        line.split() for line in (shared("german-credit") / "german.data").read_text().splitlines() if line.strip()
    ]
    order = np.random.default_rng(1).permutation(len(lines))
    write("pool.data", [lines[i] for i in order[:700]])
    return [lines[i] for i in order[700:]]


def write(name: str, rows: list[list[str]]) -> None:
    Path(name).write_text("".join(" ".join(row) + "\n" for row in rows))


def columns(path: Path = LIVE) -> dict[str, Any]:
    """What the file says of each column."""
    return {row["column"]: row for row in read_json(path)["columns"]}


def test_rows_of_the_same_kind_are_steady(
    credit: list[list[str]], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    write("new.data", credit)
    run("audit", *CREDIT, *FULL, "--live", "new.data", "--audit", "fail")
    said = capsys.readouterr().out
    assert "0 columns differ from the training role, of 20 columns" in said
    found = read_json(LIVE)
    assert (found["n"], found["training"], found["left_out"]) == (300, 630, 0)
    assert {row["verdict"] for row in found["columns"]} == {"steady"}
    assert {"status", "age", "foreign_worker"} <= set(columns())


def test_changed_columns_are_named_with_numbers_and_refused_where_audit_says_fail(
    credit: list[list[str]], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, row in enumerate(credit):
        row[AGE] = str(int(row[AGE]) + 10)
        if i % 5 == 0:
            row[PURPOSE] = "A499"
        if i % 4 == 0:
            row[MONTHS] = ""
    Path("new.data").write_text("".join(",".join(row) + "\n" for row in credit))
    Path("pool.data").write_text(Path("pool.data").read_text().replace(" ", ","))
    command = ["audit", *map(str, CREDIT), *FULL, "--live", "new.data"]
    assert main([*command, "--audit", "warn"]) == 0
    said = capsys.readouterr()
    assert "3 columns differ from the training role, of 20 columns: " in said.out
    assert "60 samples have categories that training has not: 'A499'" in said.out
    found = columns()
    assert [name for name, row in found.items() if row["verdict"] in ("slight", "moderate", "large")] == list(found)[:3]
    assert set(list(found)[:3]) == {"age", "purpose", "months"}
    assert found["months"]["missing"] == [0.0, 0.25]
    assert found["purpose"]["unseen_categories"] == {"A499": 60}
    assert found["purpose"]["unseen"][1] == 0.2
    pool = pd.read_csv("pool.data", header=None)
    assert found["age"]["training_range"][1] <= pool[AGE].max()
    assert found["age"]["typical"][1] == pytest.approx(np.mean([int(row[AGE]) for row in credit]))
    assert main([*command, "--audit", "fail"]) == 1
    assert "3 columns differ" in capsys.readouterr().err


def test_few_rows_are_said_to_be_too_few(credit: list[list[str]], run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write("new.data", credit[:12])
    run("audit", *CREDIT, *FULL, "--live", "new.data", "--audit", "fail")
    said = capsys.readouterr().out
    assert "too few to tell even a large change in 20 columns" in said
    assert "of 20 too few samples to tell" in said
    assert {row["verdict"] for row in columns().values()} == {"too few"}


def test_from_python_what_differs_is_returned_with_its_numbers(work: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=600), "b": rng.choice(["x", "y"], 600), "y": rng.choice([0, 1], 600)})
    own, new = frame[:400], frame[400:].assign(a=lambda one: one["a"] + 2)

    def made() -> Memory:
        return Memory(x=own, y="y", split=KFold(4))

    with pytest.warns(LeakWarning, match=r"drift: a|a: .* differ"):
        (found,) = lb.audit(data=made, name="memory", live=new[["a", "b"]])
    assert isinstance(found, Drift)
    assert (found.column, found.size, found.n, found.m) == ("a", "large", 200, 300)
    assert found.p < 1e-6
    assert lb.audit(data=made, name="memory", live=frame[400:][["a", "b"]]) == []


def test_darker_images_differ_in_brightness_and_others_do_not(work: Path, run: Run) -> None:
    digits = load_digits()
    x = digits.images[:, None].astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(x))
    np.savez("pool.npz", x=x[order[:1200]], y=digits.target[order[:1200]])
    np.savez("same.npz", x=x[order[1200:]])
    np.savez("dark.npz", x=x[order[1200:]] // 2)
    options = ("--config", CONFIGS / "digits_cnn.yaml", *FULL, "--data.source", "pool.npz", "--name", "credit")
    run("audit", *options, "--live", "same.npz", "--audit", "fail")
    assert {row["verdict"] for row in columns().values()} == {"steady"}
    run("audit", *options, "--live", "dark.npz")
    found = columns()
    assert found["image.brightness"]["verdict"] == "large"
    assert found["image.brightness"]["typical"] == pytest.approx(
        [x[order[:960]].mean() / 255, (x[order[1200:]] // 2).mean() / 255], rel=0.02
    )


def test_texts_of_unknown_words_differ_and_those_of_the_same_kind_do_not(work: Path, run: Run) -> None:
    lines = {c: (shared("rt-polarity") / f"rt-polarity.{c}").read_text("latin-1").split("\n") for c in ("neg", "pos")}
    held = lines["neg"][4000:5000] + lines["pos"][4000:5000]
    for c, some in lines.items():
        Path(f"{c}.txt").write_text("\n".join(some[:4000]), "latin-1")
    Path("same.txt").write_text("\n".join(held), "latin-1")
    Path("other.txt").write_text("\n".join(" ".join(word[::-1] for word in line.split()) for line in held), "latin-1")
    files = ("--data.files", json.dumps({"neg": "neg.txt", "pos": "pos.txt"}), "--data.clean.near_duplicate", "keep")
    options = ("--config", CONFIGS / "rt_polarity_bag.yaml", *FULL, *files, "--name", "credit")
    run("audit", *options, "--live", "same.txt", "--audit", "fail")
    found = columns()
    assert {row["verdict"] for row in found.values()} == {"steady"}
    assert found["text.unknown"]["typical"][0] == pytest.approx(found["text.unknown"]["typical"][1], abs=0.01)
    assert found["text.unknown"]["typical"][1] > 0.04  # though training, of course, knows all of its own words
    run("audit", *options, "--live", "other.txt")
    assert columns()["text.unknown"]["verdict"] == "large"
    assert columns()["text.words"]["verdict"] == "steady"


def test_quieter_sounds_differ_in_loudness_and_keep_their_length(work: Path, run: Run) -> None:
    rng = np.random.default_rng(0)
    for folder, gain, n in (("pool", 0.5, 120), ("quiet", 0.05, 80)):
        Path(folder).mkdir(parents=True)
        for i in range(n):
            wave = gain * rng.uniform(0.3, 1) * rng.uniform(-1, 1, rng.integers(2000, 6000))
            soundfile.write(f"{folder}/{'ab'[i % 2]}_{i:03d}.wav", wave, 8000)
    config = yaml.safe_load((CONFIGS / "fsdd_cnn.yaml").read_text())
    config["data"] = {
        "class_path": "datamodules.sound.Sound",
        "init_args": {"root": "pool", "pattern": "{target}_{take}.wav", "sample_rate": 8000, "seconds": 1.0},
    }
    Path("sound.yaml").write_text(yaml.safe_dump(config))
    run("audit", "--config", "sound.yaml", "--name", "credit", "--live", "quiet")
    found = columns()
    assert found["sound.loudness"]["verdict"] == "large"
    assert found["sound.loudness"]["typical"][0] - found["sound.loudness"]["typical"][1] == pytest.approx(20, abs=1.5)
    assert found["sound.seconds"]["verdict"] == "too few"  # 80 beside 96


def test_coloured_photographs_are_told_from_grey_ones(work: Path, images: Path, run: Run) -> None:
    Path("grey").mkdir()
    for i, file in enumerate(sorted(images.glob("train/*/*.jpg"))):
        Image.open(file).convert("L").convert("RGB").save(f"grey/{i:03d}.png")
    config = yaml.safe_load((CONFIGS / "cifar10_lenet.yaml").read_text())
    config["data"] = {"class_path": "datamodules.image_folder.ImageFolder", "init_args": {"root": str(images)}}
    Path("images.yaml").write_text(yaml.safe_dump(config))
    run("audit", "--config", "images.yaml", "--name", "credit", "--live", "grey")
    found = columns()
    assert found["image.colour"]["verdict"] == "large"
    assert found["image.colour"]["typical"][1] == 0
    assert found["image.brightness"]["verdict"] in ("steady", "too few")


def test_mistakes_are_one_line(credit: list[list[str]], work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["audit", *CREDIT]
    refused(capsys, [*command, "--live", "pool.date"], "--live: no file or directory pool.date", "'pool.data'")
    write("narrow.data", [row[:5] for row in credit])
    refused(capsys, [*command, "--live", "narrow.data"], "narrow.data")
    write("old.data", [[*row[:AGE], str(int(row[AGE]) + 30), *row[AGE + 1 :]] for row in credit])
    values = {"data.path": "pool.data", "audit": "fail"}
    with pytest.raises(AuditError, match=r"old\.data: 1 column differs from the training role \(age\); look into it"):
        lb.audit(CONFIGS / "german_credit_mlp.yaml", overrides=values, live="old.data")
