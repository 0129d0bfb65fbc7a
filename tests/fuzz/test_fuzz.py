"""Claims about damaged files: each is refused in one line of the user's, or read as what was written."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import lightning_base as lb
from datamodules.arrays import Arrays
from lightning_base.cli.early import check
from lightning_base.errors import UserError
from lightning_base.splitters.manifest import read_manifest
from lightning_base.tasks import Classification
from lightning_base.training.checkpoint import ExactIO
from lightning_base.verbs.parser import parse
from models.mlp import MLP
from tests.helpers import CONFIGS

NASTY = [
    *(
        "null",
        "[]",
        "{}",
        "''",
        "-1",
        "0",
        "1e999",
        "nan",
        ".inf",
        "true",
        "99999999999999999999",
        "\x00",
        "é",
        "\u202e",
    ),
    *(
        "&a [*a]",
        "*b",
        "!!python/object/apply:os.system [true]",
        "- x",
        "? y",
        "a: b: c",
        "[" * 3000,
        "{{",
        "../../x",
        "\t",
    ),
    *(
        '{"a": 1}',
        "[1, 2",
        "x" * 5000,
        "[red]x[/red]",
        "%s",
        "~",
        "2026-11-26",
        "0x10",
        "1_000",
        "<<: {a: 1}",
        "---",
        "...",
    ),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished cross-validation of few samples, and the working directory that it is in."""
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lb.crossval(
            task=lambda: Classification(MLP(num_outputs=3, hidden=[4])),
            data=lambda: Arrays(source="wine", test_size=0.2, batch_size=32),
            trainer={"max_epochs": 1, "accelerator": "cpu", "logger": False},
            name="run",
            audit="off",
        )
        yield folder


def bend(content: bytes, rng: random.Random) -> bytes:
    """Some bytes of a file changed, left out, said twice or put in another place."""
    bent = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        at, length = rng.randrange(len(bent) + 1), rng.choice([1, 1, 4, 64, len(bent) // 2])
        match rng.randrange(5):
            case 0:
                bent[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del bent[at : at + length]
            case 2:
                bent[at:at] = bent[at : at + length]
            case 3:
                bent[at:at] = rng.choice(NASTY).encode()
            case 4:
                bent = bent[:at]
    return bytes(bent)


def bend_values(value: Any, rng: random.Random) -> Any:
    """A JSON value with one value in it replaced by one of another type, or a key left out."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: bend_values(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], bend_values(value[at], rng), *value[at + 1 :]]
    return rng.choice([None, [], {}, "x", -1, 0, 1e300, True, float("nan"), 10**30, "\x1b[31m", [[]], {"mean": None}])


def refused(read: Callable[[], Any]) -> bool:
    """Whether it is refused as a user's mistake, in one line; any other exception is a fault of ours."""
    try:
        read()
    except UserError as error:
        message = str(error)
        if "\n" in message or not message or "Traceback" in message:
            raise AssertionError(f"not one line: {message!r}") from error
        return True
    return False


def times_refused(file: Path, whole: bytes, rng: random.Random, tries: int, read: Callable[[], Any]) -> int:
    """How often a file is refused, of so many in which it is bent at random."""
    count = 0
    for _ in range(tries):
        file.write_bytes(bend(whole, rng))
        count += refused(read)
    return count


def test_a_bent_checkpoint_is_refused_or_has_the_same_weights(home: Path) -> None:
    file = home / "runs/run/crossval/fold_1/checkpoints/last.ckpt"
    whole, rng = file.read_bytes(), random.Random(0)
    bent = home / "bent.ckpt"
    sound = ExactIO().load_checkpoint(file, weights_only=True)["state_dict"]

    def read() -> None:
        found = ExactIO().load_checkpoint(bent, weights_only=True)["state_dict"]
        assert all(torch.equal(found[name], value) for name, value in sound.items())

    assert times_refused(bent, whole, rng, 150, read) > 140


def test_a_bent_split_is_refused_or_is_the_same_split(home: Path) -> None:
    file = home / "runs/run/crossval/split.parquet"
    whole, rng, split = file.read_bytes(), random.Random(1), read_manifest(file)[0]
    bent = home / "split.parquet"

    def read() -> None:
        pd.testing.assert_frame_equal(read_manifest(bent)[0], split)

    assert times_refused(bent, whole, rng, 250, read) > 150


def test_bent_labels_are_refused_or_leave_classes_as_classes(home: Path) -> None:
    rng, bent = random.Random(2), home / "labels.csv"
    whole = b"id,target\n" + b"".join(b"%03d,class_%d\n" % (i, i % 3) for i in range(40))
    sound = Arrays(source="wine").samples("pool")

    def read() -> None:
        pool = Arrays(source="wine", labels=str(bent)).samples("pool")
        assert pool.target is not None
        assert sorted(pool.table["id"]) == sorted(sound.table["id"])
        assert set(pool.target) <= {0, 1, 2}

    assert times_refused(bent, whole, rng, 250, read) > 100


@pytest.mark.parametrize("name", ["summary.json", "fold_0/result.json", "identity.json", "oof.parquet", "config.yaml"])
def test_a_bent_run_is_refused_or_tells_the_same(home: Path, name: str) -> None:
    run, rng = home / "runs/run/crossval", random.Random(3)
    sound = lb.load(run)
    copied = home / "runs/bent/crossval"
    shutil.copytree(run, copied, dirs_exist_ok=True)
    whole = (run / name).read_bytes()

    def read() -> None:
        found = lb.load(copied)
        assert list(found.metrics.columns[:2]) == ["score", "low"]
        assert len(found.folds) == 5
        pd.testing.assert_frame_equal(found.oof, sound.oof)
        lb.compare(copied, run)

    count = 0
    for number in range(60):
        if name.endswith(".json") and number % 2:
            changed = json.dumps(bend_values(json.loads(whole), rng)).encode()
        else:
            changed = bend(whole, rng)
        (copied / name).write_bytes(changed)
        count += refused(read)
    (copied / name).write_bytes(whole)
    read()
    assert count >= (0 if name == "config.yaml" else 15)


def bend_config(text: str, rng: random.Random) -> bytes:
    """A configuration with lines changed as people, and as attackers, change them."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(lines))
        line = lines[at]
        match rng.randrange(6):
            case 0:
                lines[at] = line.split(":")[0] + ": " + rng.choice(NASTY)
            case 1:
                lines.insert(at, line)
            case 2:
                lines[at] = "  " + line
            case 3:
                del lines[at]
            case 4:
                lines[at] = line.replace("a", "e", 1)
            case 5:
                return bend("\n".join(lines).encode(), rng)
    return "\n".join(lines).encode()


@pytest.mark.parametrize("config", ["digits_cnn", "german_credit_mlp", "bccd_centre"])
def test_a_bent_configuration_is_refused_early_or_parses(home: Path, config: str) -> None:
    text, rng, bent = (CONFIGS / f"{config}.yaml").read_text(), random.Random(4), home / "bent.yaml"
    early, words = 0, ["crossval", "--config", str(bent)]
    for number in range(80):
        bent.write_bytes(bend_config(text, rng))
        if refused(lambda: check(words)):
            early += 1
        elif number % 10 == 0:
            refused(lambda: parse(words))
    assert early > 30
