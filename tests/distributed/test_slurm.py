"""Claims about what a job asks a Slurm queue for."""

import re
from pathlib import Path

import pytest

from lightning_base.distributed.slurm import Slurm
from lightning_base.errors import UserError


@pytest.mark.parametrize(
    ("slurm", "devices", "accelerator", "expected"),
    [
        (Slurm(), "auto", "auto", {"--ntasks-per-node=1"}),
        (Slurm(), 4, "gpu", {"--ntasks-per-node=4", "--gpus-per-node=4"}),
        (Slurm(), [0, 2], "cuda", {"--ntasks-per-node=2", "--gpus-per-node=2"}),
        (Slurm(gpus_per_node="a100:8"), "auto", "gpu", {"--ntasks-per-node=8", "--gpus-per-node=a100:8"}),
        (Slurm(extra=["--gres=gpu:2"]), "2", "gpu", {"--ntasks-per-node=2", "--gres=gpu:2"}),
    ],
)
def test_a_job_asks_for_the_processes_and_gpus_that_the_trainer_expects(
    work: Path, monkeypatch: pytest.MonkeyPatch, slurm: Slurm, devices: int | str, accelerator: str, expected: set[str]
) -> None:
    for program in ("sbatch", "squeue"):
        (work / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(work))
    asked = slurm.check(devices, 2, accelerator).options()
    counted = {option for option in asked if re.match("--(ntasks|gpus|gres)", option)}
    assert counted == expected
    assert "--nodes=2" in asked
    for other in (Slurm(tasks_per_node=3), Slurm(gpus_per_node=3), Slurm(nodes=1)):
        with pytest.raises(UserError, match=r"--slurm\.\w+ is \d, but trainer\.\w+ gives \d; leave it out"):
            other.check(4, 2, accelerator)


def test_how_many_gpus_a_node_has_is_not_guessed() -> None:
    with pytest.raises(UserError, match=r"trainer\.devices: what a node has is not known here"):
        Slurm().check("auto", 1, "gpu")
