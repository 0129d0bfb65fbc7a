"""Claims about data modules through the command line: augmentation, mid-epoch resume, cleaning, manifests, audit."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.arrays import Arrays
from lightning_base.augment import Crop, Flip, MixUp, SwapNoise, TableNoise
from lightning_base.cli.entry import main
from lightning_base.errors import UserError
from tests.helpers import CONFIGS, Run, assert_same_weights, read_json, refused

DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--model.network.widths", "[8]")


@pytest.mark.slow
@pytest.mark.parametrize("step", [7, 25])
def test_a_run_resumed_in_the_middle_of_an_epoch_ends_with_the_same_weights(run: Run, work: Path, step: int) -> None:
    options = (
        *("fit", *DIGITS, "--trainer.max_epochs", 2),
        *("--trainer.enable_progress_bar", "false"),
        *("--data.augment+", "lightning_base.augment.Crop", "--data.augment.padding", 1),
        *("--data.augment+", "lightning_base.augment.MixUp"),
        *("--trainer.callbacks+", "lightning.pytorch.callbacks.ModelCheckpoint"),
        *("--trainer.callbacks.every_n_train_steps", step, "--trainer.callbacks.save_top_k", -1),
        *("--trainer.callbacks.filename", "{step}"),
    )
    run(*options)
    whole, resumed = (work / "runs" / "digits_cnn" / "fit" / f"version_{n}" for n in range(2))
    run(*options, "--ckpt_path", whole / "checkpoints" / f"step={step}.ckpt")  # an epoch has 18 steps
    assert_same_weights(resumed, whole)


def test_augmentation_touches_training_batches_only_and_repeats_itself() -> None:
    data = Arrays(source="digits", augment=[Crop(padding=2), Flip(), MixUp(alpha=0.4)], batch_size=32)
    data.setup("fit")
    batch = next(iter(data.loader("train")))
    plain, drawn, again, later = (data.transform(batch, epoch) for epoch in (None, 0, 0, 1))
    assert torch.equal(drawn.x, again.x)
    assert torch.equal(drawn.y, again.y)
    assert not torch.equal(drawn.x, later.x)
    assert drawn.y.shape == (32, 10)
    np.testing.assert_allclose(drawn.y.sum(dim=1), 1, atol=1e-6)
    assert drawn.partner is None
    exact = (batch.x.float() - data.preprocess.state()["mean"]) / data.preprocess.state()["std"]
    torch.testing.assert_close(plain.x, exact, rtol=1e-6, atol=1e-6)
    val = next(iter(data.loader("val")))
    assert val.partner is None
    assert torch.equal(data.on_after_batch_transfer(val, 0).y, val.y)


def test_a_sample_is_augmented_alike_in_any_batch() -> None:
    options = {"source": "digits", "augment": [Crop(padding=2), Flip(), MixUp()]}
    found = []
    for size in (32, 100):
        data = Arrays(**options, batch_size=size)
        data.setup("fit")
        batches = [data.transform(batch, epoch=3) for batch in data.loader("train")]
        rows = torch.cat([b.rows for b in batches])
        order = rows.argsort()
        found.append((torch.cat([b.x for b in batches])[order], torch.cat([b.y for b in batches])[order]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_noise_of_tables_and_mixup_train_a_table_model(run: Run, work: Path) -> None:
    augment = [
        {"class_path": "lightning_base.augment.SwapNoise", "init_args": {"ratio": 0.1}},
        {"class_path": "lightning_base.augment.TableNoise", "init_args": {"std": 0.1}},
        {"class_path": "lightning_base.augment.MixUp"},
    ]
    run(
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 6, "--folds", "[0]"),
        *("--data.augment", json.dumps(augment)),
    )
    result = read_json(Path("runs/breast_cancer_mlp/crossval/fold_0/result.json"))
    assert result["metrics"]["accuracy"] > 0.85


def test_an_augmentation_that_does_not_fit_is_named_before_anything_is_written(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--config", str(CONFIGS / "breast_cancer_mlp.yaml"), "--data.augment+", "lightning_base.augment.Crop"]
    refused(capsys, ["crossval", *options], "Crop")
    refused(capsys, ["crossval", *options, "--data.augment.padding", -1], "padding")
    assert list(work.iterdir()) == []


def faulty(path: str) -> None:
    """Sixty rows of which two are exact copies of others, one of these under another class."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), np.arange(60) % 2
    x[58], y[58] = x[10], y[10]
    x[59], y[59] = x[11], 1 - y[11]
    np.savez(path, x=x, y=y)


def test_prepare_shows_and_writes_what_was_found(run: Run, capsys: pytest.CaptureFixture[str], work: Path) -> None:
    faulty("own.npz")
    options = (
        *("--config", CONFIGS / "breast_cancer_mlp.yaml", "--data.source", "own.npz", "--data.test_size", "null"),
        *("--data.clean.duplicate", "drop", "--data.clean.conflict", "drop"),
    )
    for _ in range(2):  # doing it again changes nothing
        run("prepare", *options)
        found = pd.read_parquet("runs/breast_cancer_mlp/prepare/cleaning.parquet")
        assert {"58", "11", "59"} <= set(found["id"])
        assert (found["action"] == "drop").all()
        assert (found["source"] == "pool").all()
        shown = capsys.readouterr().out
        assert "pool: 57 samples from own.npz" in shown
        assert "conflict" in shown
    run("crossval", *options, "--trainer.max_epochs", 1, "--model.network.num_inputs", 4)
    oof = pd.read_parquet("runs/breast_cancer_mlp/crossval/oof.parquet")
    assert set(oof["id"]) == {f"{i:02d}" for i in range(58)} - {"11"}
    assert Path("runs/breast_cancer_mlp/crossval/cleaning.parquet").is_file()


def test_a_split_by_manifest_is_the_split_of_the_run_that_made_it(run: Run, work: Path) -> None:
    run("prepare", *DIGITS, "--seed_everything", 3, "--name", "first")
    manifest = "runs/first/prepare/split.parquet"
    run(
        *(
            "crossval",
            *DIGITS,
            "--trainer.max_epochs",
            1,
            "--folds",
            "[0]",
            "--name",
            "second",
            "--data.test_size",
            "null",
        ),
        *("--data.split", "lightning_base.splitters.Manifest", "--data.split.path", manifest),
    )
    pd.testing.assert_frame_equal(*(pd.read_parquet(p) for p in (manifest, "runs/second/crossval/split.parquet")))


def test_a_split_changed_by_hand_stops_the_next_run(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("crossval", *DIGITS, "--trainer.max_epochs", 1, "--folds", "[0]")
    run(*options)
    path = Path("runs/digits_cnn/crossval/split.parquet")
    table = pd.read_parquet(path)
    table.loc[0, "role"] = "train"
    table.to_parquet(path, index=False)
    refused(capsys, options, "split.parquet", "it has no check sum")


def test_ratio_columns_seal_the_test_share_that_only_test_reads(run: Run, work: Path) -> None:
    options = (
        *("--data.split", "lightning_base.splitters.Ratio", "--data.split.val", 0.2, "--data.split.test", 0.1),
        *("--data.test_size", "null", "--trainer.max_epochs", 1, "--trainer.enable_progress_bar", "false"),
    )
    run("fit", *DIGITS, *options)
    fit = Path("runs/digits_cnn/fit/version_0")
    roles = pd.read_parquet(fit / "split.parquet")["role"].value_counts()
    assert roles.to_dict() == {"train": 1257, "val": 360, "test": 180}
    run("test", "--ckpt_path", fit / "checkpoints" / "last.ckpt")
    assert read_json(fit / "test.json")["n"] == 180


@pytest.mark.parametrize("policy", ["off", "false", "warn", "fail"])
def test_a_leak_stops_training_where_the_audit_may(policy: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty("own.npz")
    Path("policy.yaml").write_text(f"audit: {policy}\n")
    options = (
        *("--config", CONFIGS / "breast_cancer_mlp.yaml", "--config", "policy.yaml", "--data.source", "own.npz"),
        *("--data.test_size", "null", "--model.network.num_inputs", 4),
    )
    status = main(["crossval", *map(str, options), "--trainer.max_epochs", "1"])
    captured = capsys.readouterr()
    assert status == (1 if policy == "fail" else 0)
    assert ("audit: 1 leak" in captured.out) == (policy in ("warn", "fail"))
    assert Path("runs").exists() == (policy != "fail")
    assert main(["audit", *map(str, options)]) == status
    if policy == "fail":
        assert "audit: 1 leak (duplicate)" in captured.err


def test_a_clean_data_set_passes_the_audit_and_needs_no_model(run: Run, work: Path) -> None:
    Path("data.yaml").write_text("data: {class_path: datamodules.arrays.Arrays, init_args: {source: wine}}\n")
    run("audit", "--config", "data.yaml", "--audit", "fail", "--show", "picture.png")
    assert Path("picture.png").read_bytes().startswith(b"\x89PNG")
    run("prepare", "--config", "data.yaml")


def test_a_folder_of_npy_files_gives_what_the_npz_gives(work: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"x": rng.integers(0, 256, (90, 1, 4, 4), dtype=np.uint8), "y": np.arange(90) % 3}
    np.savez("own.npz", **arrays)
    Path("own").mkdir()
    for name, values in arrays.items():
        np.save(f"own/{name}.npy", values)
    packed, loose = (Arrays(source=s).samples("pool") for s in ("own", "own.npz"))
    assert packed.fingerprint == loose.fingerprint
    assert isinstance(packed.inputs, np.memmap)
    np.save("own/x.npy", arrays["x"].astype(np.float64))
    with pytest.raises(UserError, match=r"own/x\.npy: type float64; write uint8 or float32"):
        Arrays(source="own").samples("pool")


def test_swap_noise_alone_leaves_no_partner() -> None:
    data = Arrays(source="wine", augment=[SwapNoise(ratio=0.5), TableNoise(std=0.0)], batch_size=50)
    data.setup("fit")
    batch = next(iter(data.loader("train")))
    assert batch.partner is not None
    changed = data.transform(batch, epoch=0)
    assert changed.partner is None
    share = (changed.x != data.transform(batch).x).float().mean()
    assert 0.3 < share < 0.5  # some partners have the same value
    assert torch.equal(changed.y, batch.y)
