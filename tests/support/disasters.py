"""Callbacks to which a signal or Slurm happens at a chosen moment, and the options that add them to a run."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

COMMANDS = {
    1: ["scontrol", "requeue"],  # as after a lost node
    2: ["scancel"],
    3: ["scancel", "--signal=USR1"],  # as before the time limit
    4: ["scancel", "--signal=USR1"],
}


class Disaster(Callback):
    """What Slurm is asked to do to a fold's job, once in a fold, in the middle of its second epoch.

    Files tell which checkpoint the job that goes on began with.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        fold = trainer.datamodule.fold
        if Path(f"disaster_{fold}").exists():
            Path(f"resumed_{fold}").write_text(str(trainer.ckpt_path))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        fold = trainer.datamodule.fold
        happened = Path(f"disaster_{fold}")
        if (trainer.current_epoch, batch_idx) != (1, 5) or fold not in COMMANDS or happened.exists():
            return
        happened.touch()
        task = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        subprocess.run([*COMMANDS[fold], task], check=True)
        time.sleep(3)  # until it comes


class Happen(Callback):
    """Once in a launch, in one rank after one batch, a command of the shell.

    Args:
        epoch: the epoch.
        batch: the batch.
        rank: the rank.
        command: what happens; $PID is the rank's process.
    """

    def __init__(self, epoch: int, batch: int, rank: int, command: str) -> None:
        self.epoch, self.batch, self.rank, self.command = epoch, batch, rank, command

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        happened = Path(f"happened_{self.epoch}_{self.batch}")
        if (trainer.current_epoch, batch_idx, trainer.global_rank) != (self.epoch, self.batch, self.rank):
            return
        if not happened.exists():
            happened.touch()
            subprocess.run(self.command, shell=True, check=True, env={**os.environ, "PID": str(os.getpid())})
            time.sleep(3)  # until it comes


def happen(epoch: int, batch: int, command: str, rank: int = 0) -> tuple[str, ...]:
    """The options that add a disaster to a run: see Happen."""
    given = {"epoch": epoch, "batch": batch, "rank": rank, "command": command}
    return "--trainer.callbacks+", json.dumps({"class_path": f"{__name__}.Happen", "init_args": given})


class TermInPredict(Callback):
    """SIGTERM as held-out samples are predicted."""

    def on_predict_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
