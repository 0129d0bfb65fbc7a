"""How the folds of a cross-validation are run."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from lightning_base.distributed.slurm import Slurm
from lightning_base.errors import ConfigError, suggest
from lightning_base.training.limits import demand_sensible

Executor: TypeAlias = Literal["inline", "process", "slurm", "vectorized"]


@dataclass(frozen=True)
class Execution:
    """How the folds of a cross-validation are run; their results do not depend on it, at equal threads per fold.

    Args:
        executor: inline trains one after another in this process; process several at once, each in its own; slurm
            submits an array of jobs, one per fold; vectorized trains all in one batch, for small networks.
        jobs: how many folds `process` trains at once.
        threads: threads that a fold's process computes with.
        slurm: what `slurm` asks of the cluster.

    Raises:
        UserError: for a number below 1 or beyond all machines, or an option of another executor.
    """

    executor: Executor = "inline"
    jobs: int | None = None
    threads: int | None = None
    slurm: Slurm | None = None

    def __post_init__(self) -> None:
        if self.executor not in get_args(Executor):
            known = get_args(Executor)
            raise ConfigError(
                f"--executor: {self.executor!r} is none of {', '.join(known)}{suggest(str(self.executor), known)}"
            )
        for key, value in (("jobs", self.jobs), ("threads", self.threads)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise ConfigError(f"--{key}: {value!r} is no whole number from 1; give one, or leave it out")
        demand_sensible("jobs", self.jobs)
        demand_sensible("threads", self.threads)
        if self.jobs is not None and self.executor != "process":
            raise ConfigError(f"--jobs is for --executor process, not {self.executor}; leave it out")
        if self.slurm is not None and not isinstance(self.slurm, Slurm):
            raise ConfigError(f"--slurm: a {type(self.slurm).__name__} is given; give {Slurm.__module__}.Slurm(…)")
        if self.slurm is not None and self.executor != "slurm":
            raise ConfigError(f"--slurm is for --executor slurm, not {self.executor}; leave it out")
