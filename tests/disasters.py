"""A callback for tests on a cluster: in the second epoch, what becomes of a fold's job is asked of Slurm itself."""

import os
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
    """Once a fold, in the middle of its second epoch, and then waits for it.

    Files tell what checkpoint Lightning kept for the requeued job, and which one that began with.
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
        for _ in range(600):
            time.sleep(0.1)
            kept = sorted(Path(trainer.default_root_dir).glob("hpc_ckpt*"))
            happened.write_text("\n".join(map(str, kept)))
