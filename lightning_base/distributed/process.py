"""What a launched process knows of its launch: Slurm's or torchrun's variables, and the status that asks to go on."""

import os
import re

STATUS = 75  # of a process that a signal stopped, with a checkpoint; EX_TEMPFAIL of sysexits.h: try again
# of the submitting shell: its own allocation, ranks and devices; a job has its own
FOREIGN = (
    r"SLURM_|TORCHELASTIC_|PMI"
    r"|(MASTER_(ADDR|PORT)|(GROUP_|NODE_|LOCAL_)?RANK|(LOCAL_)?WORLD_SIZE|CUDA_VISIBLE_DEVICES)$"
)
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT")  # how to reach the cluster


def is_foreign(variable: str) -> bool:
    """Whether an environment variable belongs to an allocation or a launcher that this process is in."""
    return re.match(FOREIGN, variable) is not None and variable not in KEPT


def leave_allocation() -> None:
    """Makes this process one outside any allocation: inside one, Lightning would take it for a rank of a job's step."""
    for variable in [key for key in os.environ if is_foreign(key)]:
        del os.environ[variable]


def launched() -> str | None:
    """What names a launch alike in all its processes and once more after a restart; None where nothing has launched.

    That is torchrun's --rdzv-id, or the number of Slurm's job with that of its step.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun_" + os.environ["TORCHELASTIC_RUN_ID"]
    if "SLURM_PROCID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        step = os.environ.get("SLURM_STEP_ID", "0")
        return f"job_{os.environ['SLURM_JOB_ID']}" + (f"_{step}" if step != "0" else "")
    return None
