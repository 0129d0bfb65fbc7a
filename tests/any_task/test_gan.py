"""A GAN of a user's own networks: two optimizers through folds, kills, two processes, and a plain loop."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from tests.any_task.journey import Journey, config, first_run
from tests.helpers import read_json, weights
from tests.support.forks import Forks


def adam(lr: float) -> dict[str, Any]:
    return {"class_path": "torch.optim.Adam", "init_args": {"lr": lr, "betas": [0.5, 0.999]}}


MODEL = {
    "class_path": "lightning_base.tasks.GAN",
    "init_args": {
        "generator": {"class_path": "tests.any_task.gan.Maker"},
        "discriminator": {"class_path": "tests.any_task.gan.Judge"},
        "latent": 16,
        "generator_optimizer": adam(0.002),
        "discriminator_optimizer": adam(0.003),
        "generator_scheduler": {"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 2}},
    },
}
DATA = {"class_path": "tests.any_task.gan.Digits", "init_args": {"batch_size": 20}}
EPOCHS = 4


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    made = Journey(forks, config("gan", MODEL, DATA, epochs=EPOCHS), tmp_path_factory.mktemp("gan"))
    made.cross_validates()
    return made


def images(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    return np.stack(list(table["pred"])).astype(np.float64)


def distance(made: npt.NDArray[np.float64], real: npt.NDArray[np.float64]) -> float:
    """The Fréchet distance of (N, F) vectors: the trace of a root is the sum of the roots of eigenvalues."""
    one, two = np.cov(made.T), np.cov(real.T)
    roots = np.sqrt(np.real(scipy.linalg.eigvals(one @ two)).clip(0))
    return float(((made.mean(0) - real.mean(0)) ** 2).sum() + np.trace(one + two) - 2 * roots.sum())


def test_the_score_is_scipys_frechet_distance_of_stored_images_to_those_of_the_source(journey: Journey) -> None:
    summary = read_summary(journey.directory())
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        assert images(found).shape == (160, 1, 8, 8)
        real = load_digits().images[found["id"].astype(int).to_numpy()].reshape(160, 64)
        expected = distance(images(found).reshape(160, 64), real)
        assert summary.metrics["frechet_pixels"].folds[fold] == pytest.approx(expected, rel=1e-3)
        details = read_json(journey.directory() / f"fold_{fold}" / "result.json")["details"]
        assert details["frechet_pixels_n"] == 160


def test_beside_it_stands_what_the_mean_image_in_every_place_scores(journey: Journey) -> None:
    digits, expected = load_digits().images[:400].reshape(400, 64), []
    tables = [read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet") for fold in (0, 1)]
    held = [digits[table["id"].astype(int)] for table in tables]
    for own, train in (held, reversed(held)):
        shift = train.mean(axis=0) - own.mean(axis=0)
        expected.append((shift**2).sum() + np.trace(np.cov(own.T)))
    score = read_summary(journey.directory()).metrics["frechet_pixels"]
    assert score.trivial == pytest.approx(np.mean(expected), rel=1e-4)


def test_both_losses_and_rates_are_logged_and_the_generators_rate_is_led(journey: Journey) -> None:
    rows = pd.read_csv(journey.directory() / "fold_0" / "metrics.csv")
    rows = rows.dropna(subset=["g_loss"])
    assert len(rows) == EPOCHS
    np.testing.assert_allclose(rows["train_loss"], rows["g_loss"] + rows["d_loss"], rtol=1e-6)
    np.testing.assert_allclose(rows["lr-generator"], [0.002, 0.002, 0.0002, 0.0002])
    np.testing.assert_allclose(rows["lr-discriminator"], [0.003] * EPOCHS)


def test_an_ensemble_is_refused_in_one_line_and_one_fold_is_tested(journey: Journey) -> None:
    before = len(journey.log())
    assert journey.run("test", "--ckpt_path", journey.directory()) == [2]
    assert "have no mean; give one fold's checkpoint as --ckpt_path" in journey.log()[before:]
    one = journey.directory() / "fold_0" / "checkpoints" / "last.ckpt"
    assert journey.run("test", "--ckpt_path", one) == [0], journey.log()


def test_what_is_made_of_a_sample_depends_on_its_id_alone(journey: Journey) -> None:
    one = journey.directory() / "fold_0"
    assert journey.run("predict", "--ckpt_path", one / "checkpoints" / "last.ckpt") == [0], journey.log()
    (path,) = journey.directory().rglob("predict.parquet")
    found, held = read_table(path).set_index("id"), read_table(one / "predictions.parquet").set_index("id")
    assert len(found) == 400
    for name, image in held["pred"].items():
        np.testing.assert_allclose(found["pred"][name], image, atol=1e-5)
    assert len(np.unique(images(found.reset_index()).reshape(400, -1), axis=0)) == 400


@pytest.mark.parametrize("step", [9, 22])
def test_kills_change_nothing(journey: Journey, step: int) -> None:
    journey.survives_kills(step=step, home=f"killed_{step}")


def test_two_processes_train_as_one(journey: Journey) -> None:
    journey.trains_in_two_processes(["pred"], atol=2e-3)


def test_the_weights_are_those_of_a_plain_loop(journey: Journey) -> None:
    task, data = first_run(journey)
    task.use(data)
    generator, discriminator = task.network.generator, task.network.discriminator  # type: ignore[union-attr]
    of_g = torch.optim.Adam(generator.parameters(), lr=0.002, betas=(0.5, 0.999))  # type: ignore[union-attr]
    of_d = torch.optim.Adam(discriminator.parameters(), lr=0.003, betas=(0.5, 0.999))  # type: ignore[union-attr]
    schedule = torch.optim.lr_scheduler.StepLR(of_g, 2)
    loader = data.loader("train")
    for epoch in range(EPOCHS):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            batch = data.transform(batch, epoch)
            one, zero = torch.ones(len(batch.rows)), torch.zeros(len(batch.rows))
            made = generator(task.noise(batch.key, epoch))  # type: ignore[operator]
            loss = F.binary_cross_entropy_with_logits(discriminator(batch.x), one)  # type: ignore[operator]
            loss = loss + F.binary_cross_entropy_with_logits(discriminator(made.detach()), zero)  # type: ignore[operator]
            of_d.zero_grad()
            loss.backward()
            of_d.step()
            of_g.zero_grad()
            F.binary_cross_entropy_with_logits(discriminator(made), one).backward()  # type: ignore[operator]
            of_g.step()
        schedule.step()
    found = weights(journey.directory() / "fold_0")
    for name, value in task.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--trainer.gradient_clip_val", 1), "trainer.gradient_clip_val: GAN takes its optimizers' steps itself"),
        (("--trainer.accumulate_grad_batches", 2), "trainer.accumulate_grad_batches: GAN takes its optimizers' steps"),
        (
            ("--trainer.callbacks+", "lightning.pytorch.callbacks.LearningRateFinder"),
            "trainer.callbacks: LearningRateFinder: GAN takes its optimizers' steps itself",
        ),
        (
            ("--trainer.callbacks+", "StochasticWeightAveraging", "--trainer.callbacks.swa_lrs", 0.1),
            "trainer.callbacks: StochasticWeightAveraging: GAN takes its optimizers' steps itself",
        ),
        (("--executor", "vectorized"), "--executor vectorized: GAN."),
        (("--model.latent", 15), "model.generator: Maker takes no noise of 15 numbers: "),
        (("--model.generator_scheduler", "lightning.pytorch.cli.ReduceLROnPlateau"), "model.generator_scheduler: "),
        (("--model.discriminator_optimizer.lr", 0), "model.discriminator_optimizer.lr: 0 trains nothing"),
    ],
)
def test_what_presumes_one_optimizer_is_refused_before_anything_is_trained(
    journey: Journey, given: tuple[Any, ...], said: str
) -> None:
    home = "refused"
    before = len(journey.log(home)) if (journey.folder / home / "log").exists() else 0
    assert journey.run("crossval", *given, home=home) == [2]
    assert said in journey.log(home)[before:]
    assert not list((journey.folder / home).rglob("*.ckpt"))


def test_a_loss_that_is_no_number_ends_the_fold(journey: Journey) -> None:
    steep = ("--model.generator_optimizer.lr", 1e30, "--folds", "[0]")
    assert journey.run("crossval", *steep, home="steep") != [0]
    assert "the training loss is not finite" in journey.log("steep")


def test_max_steps_counts_the_steps_of_both_optimizers(journey: Journey) -> None:
    assert journey.run("crossval", "--trainer.max_steps", 6, "--folds", "[0]", home="short") == [0], journey.log(
        "short"
    )
    fold = journey.directory("short") / "fold_0"
    assert read_json(fold / "result.json")["n_train"] == 60  # three batches of 20
    assert not math.isnan(read_json(fold / "result.json")["metrics"]["frechet_pixels"])
