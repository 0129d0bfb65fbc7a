"""A Slurm cluster of two nodes on this machine, for the tests that need one."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from tests.helpers import ROOT, SHARED

CLUSTER = Path(os.environ.get("LIGHTNING_BASE_SLURM", SHARED.parent / "slurm" / "cluster")).resolve()
SECRET = "c41e57a9d1"
# a requeued job waits for two minutes, until credentials of its first start are void: here not; a lost node comes back
HURRY = """while sleep 0.5; do
    jobs=$(squeue --noheader --states=PENDING --format='%A %r' | awk '$2 == "BeginTime" {print $1}')
    [ -z "$jobs" ] || sleep 2  # in the second in which it was ended a job cannot start
    for job in $jobs; do
        # on a node that was said to be lost, its processes may still be ending
        pgrep -f "slurmstepd: .$job[.]" > /dev/null || scontrol update JobId=$job StartTime=now
    done
    for node in $(sinfo --noheader --Node --states=down --format=%N); do
        sleep 2
        scontrol update nodename=$node state=resume
    done
done"""


@contextmanager
def running(state: Path) -> Iterator[None]:
    """The cluster, with all its state in a folder, and a user with a secret in the environment."""
    if not CLUSTER.is_file() or shutil.which("slurmctld") is None or os.geteuid() != 0:
        pytest.skip(f"needs slurmctld, root and {CLUSTER} (or LIGHTNING_BASE_SLURM), to start a cluster")
    one = FileLock(Path(tempfile.gettempdir()) / "lightning_base_tests_cluster.lock")  # there can be but one at a time
    with one, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(state / "slurm.conf"))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("WANDB_API_KEY", SECRET)
        subprocess.run([CLUSTER, "up", state], check=True, stdout=subprocess.DEVNULL)
        hurry = subprocess.Popen(["bash", "-c", HURRY], stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            hurry.kill()
            hurry.wait()
            subprocess.run(["scancel", "--me"], check=True)
            for _ in range(60):  # a node's daemon does not end before its jobs have
                if not subprocess.run(["squeue", "--noheader"], capture_output=True, check=True).stdout:
                    break
                time.sleep(0.5)
            subprocess.run([CLUSTER, "down", state], check=True)
