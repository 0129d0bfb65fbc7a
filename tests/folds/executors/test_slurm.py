"""Claims about folds on a Slurm cluster: the same numbers as here, whatever becomes of their jobs."""

import contextlib
import ctypes
import io
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS, assert_same_crossval, checkpoint, crossval, read_json
from tests.support.cluster import SECRET
from tests.support.disasters import COMMANDS

DIGITS = ("--config", str(CONFIGS / "digits_cnn.yaml"), "--trainer.max_epochs", "2", "--model.network.widths", "[8]")
CROSSVAL = ("crossval", *DIGITS, "--threads", "1")
SLURM = ("--executor", "slurm", "--slurm.at_once", "2", "--slurm.time", "01:00:00")
DIRECTORY = crossval("digits_cnn")


@dataclass(frozen=True)
class Told:
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str


def command(*arguments: str) -> Told:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    return Told(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The five folds, trained one after another in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        assert command(*CROSSVAL).status == 0
        return DIRECTORY.resolve()


@dataclass(frozen=True)
class OnCluster:
    """The five folds on the cluster: interrupted once submitted, run again, and again for the fold that was cancelled.

    failed: the states after the second command; script: what was submitted first.
    """

    directory: Path
    interrupted: Told
    followed: Told
    finished: Told
    failed: list[dict]
    script: str


@pytest.fixture(scope="module")
def there(cluster: None, interpreter: str, tmp_path_factory: pytest.TempPathFactory) -> OnCluster:
    """An array of five folds, of which one is cancelled, one requeued, and two are told that their time is over."""
    options = (*CROSSVAL, *SLURM, "--trainer.callbacks+", "tests.support.disasters.Disaster")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("the cluster's 100%"))
        patch.setattr(sys, "executable", interpreter)
        ended = threading.Event()
        ctrl_c = threading.Thread(target=interrupt_once_submitted, args=(ended, threading.get_ident()))
        ctrl_c.start()
        interrupted = command(*options)
        ended.set()
        ctrl_c.join()
        script = (DIRECTORY / "slurm" / "crossval.sh").read_text()
        followed = command(*options)
        failed = [read_json(path) for path in DIRECTORY.glob("fold_*/state.json")]
        finished = command(*options)
        return OnCluster(DIRECTORY.resolve(), interrupted, followed, finished, failed, script)


def interrupt_once_submitted(ended: threading.Event, thread: int) -> None:
    """Ctrl-C a second after there are jobs, however long a busy machine takes to submit them.

    It is raised in the thread that runs the command, which need not be the one that signals come to.
    """
    while not ended.is_set():
        jobs = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=False)
        if jobs.returncode == 0 and jobs.stdout.strip():
            time.sleep(1)  # until it is followed
            while not ended.is_set():
                raised = ctypes.py_object(KeyboardInterrupt)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
                ended.wait(5)
            return
        time.sleep(0.1)


@pytest.mark.slow
def test_folds_on_a_cluster_are_those_trained_here_bit_for_bit(here: Path, there: OnCluster) -> None:
    assert there.finished.status == 0, there.finished
    assert sorted(path.name for path in there.directory.parents[2].glob("disaster_*")) == [
        f"disaster_{fold}" for fold in COMMANDS
    ]
    assert_same_crossval(there.directory, here)


def test_an_interrupt_leaves_the_jobs_and_the_same_command_follows_them(there: OnCluster) -> None:
    assert there.interrupted.status == 130
    job = re.search(r"job (\d+): folds \[0, 1, 2, 3, 4\]", there.interrupted.out)[1]
    assert f"scancel {job}" in there.interrupted.out
    assert "in the queue already" in there.followed.out
    assert "submitted" not in there.followed.out
    logs = {path.name for path in (there.directory / "slurm").glob("*.out")}
    assert logs >= {f"{job}_{fold}.out" for fold in range(5)}
    assert len(logs) == 6  # and the one fold that was submitted again


def test_a_cancelled_fold_has_failed_with_its_reason_and_its_log(there: OnCluster) -> None:
    assert there.followed.status == 1
    assert len(there.failed) == 1
    assert there.failed[0]["state"] == "failed"
    log = re.search(r"is CANCELLED without a result.*; its log is (.*_2\.out)$", there.failed[0]["error"])[1]
    assert "CANCELLED" in Path(log).read_text()
    assert there.followed.err.count("\n") == 1
    assert "1 of 5 folds failed: fold 2" in there.followed.err
    assert "fold 2 (3 of 5)  failed: " in there.followed.out
    assert "folds [2], submitted" in there.finished.out


def test_a_fold_told_that_its_time_is_over_keeps_a_checkpoint_and_goes_on_from_its_own(there: OnCluster) -> None:
    work, home = there.directory.parents[2], {fold: there.directory / f"fold_{fold}" for fold in range(5)}
    resumed = {int(path.name[-1]): Path(path.read_text()) for path in work.glob("resumed_*")}
    assert resumed.keys() == COMMANDS.keys()
    assert all(path.is_relative_to(home[fold] / "checkpoints") for fold, path in resumed.items())
    assert [resumed[fold].name for fold in (3, 4)] == ["step.ckpt"] * 2
    results = [read_json(home[fold] / "result.json") for fold in range(5)]
    assert [result["resumed"] for result in results] == [False, True, True, True, True]
    assert not list(work.rglob("hpc_ckpt*"))  # Lightning would predict with one that is left


def test_the_script_is_plain_and_keeps_no_secret(there: OnCluster) -> None:
    subprocess.run(["bash", "-n"], input=there.script, text=True, check=True)
    assert "#SBATCH --array=0,1,2,3,4%2\n" in there.script
    assert "#SBATCH --time=01:00:00\n" in there.script
    assert "export OMP_NUM_THREADS=1 " in there.script
    assert [line.split()[0] for line in there.script.splitlines()[-4:]] == ["srun", "#", "if", "exit"]
    assert len(there.script.splitlines()) < 25
    assert not [path for path in (there.directory / "slurm").iterdir() if SECRET in path.read_text()]


def test_a_fold_on_two_nodes_counts_each_sample_once_and_scores_as_one_process(
    cluster: None, preloaded: None, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MASTER_ADDR", "SLURM_JOB_PARTITION", "SBATCH_PARTITION"):
        monkeypatch.setenv(name, "nowhere")  # of the submitting shell: nothing to a job
    options = (*CROSSVAL, "--folds", "[0]", "--model.network.dropout", "0", "--trainer.max_epochs", "4")
    nodes = ("--trainer.strategy", "ddp", "--trainer.devices", "1", "--trainer.num_nodes", "2", "--slurm.nodes", "2")
    nodes = (*nodes, "--slurm.partition", "main")
    assert command(*options, "--name", "one").status == 0
    told = command(*options, *SLURM, *nodes)
    assert told.status == 0, told
    split = pd.read_parquet(DIRECTORY / "split.parquet")
    held_out = split[(split["fold"] == 0) & (split["role"] == "val")]
    table = pd.read_parquet(DIRECTORY / "fold_0" / "predictions.parquet")
    assert table["id"].is_unique
    assert set(table["id"]) == set(held_out["id"])
    result, one = (read_json(Path("runs") / name / "crossval/fold_0/result.json") for name in ("digits_cnn", "one"))
    assert result["metrics"]["accuracy"] == pytest.approx(accuracy_score(table["target"], table["pred"]), abs=1e-6)
    prob = table.filter(like="prob_").to_numpy(dtype="float64")
    loss = log_loss(table["target"], prob / prob.sum(1, keepdims=True))
    assert result["metrics"]["loss"] == pytest.approx(loss, abs=1e-5)
    assert result["metrics"]["loss"] == pytest.approx(one["metrics"]["loss"], abs=0.01)
    assert len(checkpoint(DIRECTORY / "fold_0")["exact_resume"]["ranks"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slurm.time", "soon"], "--slurm.time: 'soon' is no time limit; give one such as 02:00:00"),
        (["--slurm.mem", "much"], "--slurm.mem: 'much' is no amount of memory; give one such as 16G"),
        (["--slurm.partition", "a b"], "--slurm.partition: 'a b' is no name"),
        (["--slurm.at_once", "0"], "--slurm.at_once: 0 is no positive number"),
        (["--slurm.extra", '["-C a100"]'], "--slurm.extra: '-C a100' is no option; give one such as --constraint=a100"),
        (["--slurm.extra", '["--array=1"]'], "--slurm.extra: --array is what the script itself says; leave it out"),
        (["--slurm.nodes", "2"], "--slurm.nodes is 2, but trainer.num_nodes gives 1; leave it out, or set trainer"),
        (["--slurm.tasks_per_node", "4"], "--slurm.tasks_per_node is 4, but trainer.devices gives 1; leave it out"),
        ([], "--executor slurm: no sbatch here; run it where a cluster's jobs are submitted"),
    ],
)
def test_what_slurm_cannot_do_is_said_before_anything_is_written(
    work: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.setenv("PATH", "")
    told = command(*CROSSVAL, "--executor", "slurm", *options)
    assert told.status == 2
    assert told.err.count("\n") == 1
    assert message in told.err
    assert list(work.iterdir()) == []
