"""Claims about launching: what is written is plain, what it starts ends as here, whatever becomes of its processes."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS, assert_same_training
from tests.support.cluster import SECRET
from tests.support.disasters import happen
from tests.support.forks import Forks

CONFIG = ("--config", str(CONFIGS / "digits_cnn.yaml"))
DIGITS = (*CONFIG, "--trainer.max_epochs", "2", "--model.network.widths", "[8]", "--trainer.strategy", "ddp")
HOME = Path("runs/digits_cnn/fit")


def launch(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["launch", *arguments])
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def here(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same training by two processes and by four, which nothing disturbs."""
    homes = {}
    for ranks in (2, 4):
        work = tmp_path_factory.mktemp(f"here_{ranks}")
        assert forks(work, "fit", *DIGITS, "--trainer.devices", ranks, ranks=ranks) == [0] * ranks
        homes[ranks] = work / HOME / "version_0"
    return homes


def assert_each_held_out_sample_once(home: Path) -> None:
    split = pd.read_parquet(home / "split.parquet")
    held_out = split[(split["fold"] == 0) & (split["role"] == "val")]["id"]
    assert sorted(pd.read_parquet(home / "predictions.parquet")["id"]) == sorted(held_out)


@pytest.mark.slow
def test_a_fit_on_two_nodes_outlives_a_signal_and_a_lost_node(
    cluster: None, preloaded: None, here: dict[int, Path], work: Path
) -> None:
    told = happen(0, 5, "scancel --signal=USR1 $SLURM_JOB_ID")
    lost = happen(1, 7, "scontrol update nodename=n2 state=down reason=test", rank=1)
    nodes = ("--trainer.num_nodes", "2", "--trainer.devices", "1")
    status, out, err = launch("slurm", "--time", "01:00:00", "--wait", "--", "fit", *DIGITS, *nodes, *told, *lost)
    number = re.search(r"job (\d+), submitted by", out)[1]
    log = work / f"runs/digits_cnn/slurm/{number}.out"
    assert (status, err) == (0, ""), (out, log.read_text())
    assert "restarted 2 times" in out
    assert str(log) in out.replace("\n", "")
    assert {path.name for path in work.glob("happened_*")} == {"happened_0_5", "happened_1_7"}
    printed = log.read_text()
    for line in ("SIGUSR1: ", "n1: task 0: Exited with exit code 75", "n2: task 1: Exited with", "Node failure on n2"):
        assert line in printed
    assert [path.name for path in HOME.iterdir()] == [f"job_{number}"]
    assert_same_training(HOME / f"job_{number}", here[2])
    assert_each_held_out_sample_once(HOME / f"job_{number}")
    assert SECRET not in (work / "runs/digits_cnn/slurm/fit.sh").read_text()


@pytest.mark.slow
def test_a_job_that_fails_or_is_cancelled_is_said_with_its_status_and_its_log(
    cluster: None, preloaded: None, work: Path
) -> None:
    task = "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    fails = happen(0, 1, f"[ $SLURM_ARRAY_TASK_ID = 1 ] || scancel {task}")
    options = (*CONFIG, "--trainer.max_epochs", "1", "--trainer.devices", "1")
    status, out, _ = launch(
        "slurm", "--wait", "--array", "0,1", "--at_once", "1", "--", "fit", *options, *fails, "--name", "n@task"
    )
    assert status == 143
    assert "CANCELLED" in out
    assert "COMPLETED" in out


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_torchrun_starts_all_processes_again_and_they_go_on(
    preloaded: None, here: dict[int, Path], work: Path, ranks: int
) -> None:
    killed = happen(1, 9, "kill -KILL $PID", rank=1)
    told = happen(0, 6, "kill -USR1 $PID", rank=1) if ranks == 2 else ()
    status, _, err = launch("torchrun", "--", "fit", *DIGITS, "--trainer.devices", str(ranks), *told, *killed)
    assert status == 0, err
    assert len(list(work.glob("happened_*"))) == (2 if told else 1)
    [home] = HOME.iterdir()
    # after its first batch DDP lays the gradients out anew, and more than two ranks then add them in another order
    assert_same_training(home, here[ranks], atol=0 if ranks == 2 else 1e-6)
    assert_each_held_out_sample_once(home)


@pytest.mark.parametrize(
    ("options", "command", "lines"),
    [
        (
            ["slurm", "--time", "02:00:00", "--partition", "main", "--account", "me", "--setup", "source x/activate"],
            ["fit", "--trainer.accelerator", "gpu", "--trainer.devices", "4", "--trainer.num_nodes", "2"],
            [
                "--nodes=2",
                "--ntasks-per-node=4",
                "--gpus-per-node=4",
                "--requeue",
                "--time=02:00:00",
                "source x/activate",
            ],
        ),
        (
            ["slurm", "--array", "folds", "--at_once", "2", "--container", "apptainer exec --nv image.sif"],
            ["crossval"],
            ["--array=0,1,2,3,4%2", 'requeue "${SLURM_ARRAY_JOB_ID}_$SLURM', "apptainer exec --nv image.sif python -m"],
        ),
        (
            ["slurm", "--array", "0-2,7", "--requeue", "false"],
            ["fit", "--seed_everything", "@task"],
            ["#SBATCH --array=0,1,2,7", '--seed_everything "$SLURM_ARRAY_TASK_ID"', "#SBATCH --no-requeue"],
        ),
        (
            ["torchrun", "--hosts", "[a, b]", "--max_restarts", "5"],
            ["fit", "--trainer.devices", "2", "--trainer.num_nodes", "2"],
            ["--nnodes=2 --nproc-per-node=2 --max-restarts=5 --rdzv-backend=c10d --rdzv-endpoint=a:29400 --rdzv-id="],
        ),
        (
            ["tpu", "--name", "v4-32", "--zone", "us-central2-b"],
            ["fit", "--trainer.accelerator", "tpu", "--trainer.devices", "4"],
            ["gcloud compute tpus tpu-vm ssh v4-32 --zone=us-central2-b --worker=all", "PJRT_DEVICE=TPU"],
        ),
    ],
)
def test_what_would_be_started_is_printed_as_a_plain_script_and_nothing_is_written(
    work: Path, options: list[str], command: list[str], lines: list[str]
) -> None:
    dry = [] if options[0] == "tpu" else ["--dry-run"]
    status, out, err = launch(*options, *dry, "--", command[0], *CONFIG, *command[1:])
    assert (status, err) == (0, "")
    subprocess.run(["bash", "-n"], input=out, text=True, check=True)
    for line in lines:
        assert line in out
    assert len(out.splitlines()) < 30
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "command", "message"),
    [
        (
            ["slurm", "--tasks_per_node", "4"],
            ["fit", "--trainer.devices", "2"],
            "--tasks_per_node is 4, but trainer.devices gives 2; leave it out, or set trainer.devices to 4",
        ),
        (
            ["slurm", "--nodes", "2"],
            ["fit"],
            "launch slurm: --nodes is 2, but trainer.num_nodes gives 1; leave it out, or set trainer.num_nodes to 2",
        ),
        (["slurm", "--dry-run"], ["fit", "--model.network.width", "8"], "width"),
        (["slurm", "--dry-run"], ["fit", "--model.network.in_channels", "3"], "model"),
        (
            ["slurm", "--dry-run", "--array", "0-3"],
            ["fit"],
            "its jobs are all the same; @task stands for a job's number",
        ),
        (["slurm", "--dry-run", "--array", "folds"], ["fit"], "--array folds is for crossval without --folds"),
        (["slurm", "--dry-run", "--tim", "1"], ["fit"], "--tim"),
        (["slurm", "--dry-run"], ["crossval", "--executor", "slurm"], "--executor slurm starts processes itself"),
        (["slurm", "--dry-run"], ["prepare"], "'prepare' is none of fit, crossval"),
        (["slurm", "--dry-run"], [], "no verb"),
        (["slrum"], ["fit"], "did you mean 'slurm'?"),
        (
            ["torchrun"],
            ["fit", "--trainer.num_nodes", "2"],
            "launch torchrun: trainer.num_nodes is 2, hosts are 1; name as many by --hosts",
        ),
        (
            ["torchrun", "--processes", "3"],
            ["fit", "--trainer.devices", "2"],
            "--processes is 3, but trainer.devices gives 2",
        ),
    ],
)
def test_wrong_arithmetic_is_one_line_before_anything_is_submitted(
    work: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], command: list[str], message: str
) -> None:
    monkeypatch.setenv("PATH", "")
    status, out, err = launch(*options, "--", *command[:1], *CONFIG[: 2 * len(command)], *command[1:])
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert list(work.iterdir()) == []
