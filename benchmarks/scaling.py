"""Step time, all-reduce and memory of 1 to 4 processes on one machine, and what the cost model of docs/scaling.md says.

    nice .venv/bin/python benchmarks/scaling.py data/rt-polarity
    .venv/bin/python benchmarks/scaling.py   # the predictions alone

The processes are forks that run `lightning-base fit` on configs/rt_polarity_transformer.yaml, made larger.
"""

import json
import os
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed.tensor import DTensor

ROOT = Path(__file__).parent.parent
STEPS, WARM = 14, 2


class Clock(Callback):
    """Measures a run's steps, its share of weights, gradients and optimizer state, and all-reduce; rank 0 prints it."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook."""
        self.steps: list[float] = []
        self.reduced: dict[int, float] = {}
        for kilobytes in (1, 1024, 16384) if trainer.world_size > 1 else ():
            values, times = torch.zeros(kilobytes * 256), []
            for _ in range(7):
                trainer.strategy.barrier()
                began = time.perf_counter()
                torch.distributed.all_reduce(values)
                times.append(time.perf_counter() - began)
            self.reduced[kilobytes] = median(times)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Lightning's hook."""
        self.began = time.perf_counter()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Lightning's hook: there are gradients now and, from the second step on, the optimizer's state."""
        tensors = [(p, p.grad, *optimizer.state[p].values()) for p in pl_module.parameters()]
        local = [t.to_local() if isinstance(t, DTensor) else t for row in tensors for t in row if t is not None]
        self.bytes = sum(t.nbytes for t in local)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Lightning's hook."""
        self.steps.append(time.perf_counter() - self.began)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook."""
        if trainer.is_global_zero:
            found = {
                "step": median(self.steps[WARM:]),
                "fastest": min(self.steps[WARM:]),
                "bytes": self.bytes,
                "weights": sum(p.numel() for p in pl_module.parameters()),
                "reduced": self.reduced,
            }
            Path(os.environ["SCALING"]).write_text(json.dumps(found))


def measure(folder: Path, strategy: str, ranks: int) -> dict[str, Any]:
    """What rank 0 of a run has measured."""
    files = {c: str((folder / f"rt-polarity.{c}").resolve()) for c in ("neg", "pos")}
    overlay = () if ranks == 1 else ("--config", str(ROOT / "configs" / "strategy" / f"{strategy}.yaml"))
    command = [
        *("fit", "--config", str(ROOT / "configs" / "rt_polarity_transformer.yaml"), *overlay, "--audit", "off"),
        *("--data.files", json.dumps(files), "--data.clean.near_duplicate", "keep", "--data.batch_size", "96"),
        *("--data.eval_batch_size", "96", "--model.network.dim", "128", "--model.network.depth", "4"),
        *("--trainer.accelerator", "cpu", "--trainer.devices", str(ranks), "--trainer.fast_dev_run", str(STEPS)),
        *("--trainer.callbacks+", "benchmarks.scaling.Clock", "--trainer.enable_progress_bar", "false"),
    ]
    with socket.socket() as free, tempfile.TemporaryDirectory() as scratch:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        result = Path(scratch) / "result.json"
        children = []
        for rank in range(ranks):
            if pid := os.fork():
                children.append(pid)
                continue
            os.environ |= {"SCALING": str(result), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            if ranks > 1:
                os.environ["LOCAL_RANK"] = str(rank)
            log = os.open(Path(scratch) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            from lightning_base.cli.entry import main

            os._exit(main(command))
        statuses = [os.waitpid(pid, 0)[1] for pid in children]
        if any(statuses):
            raise SystemExit((Path(scratch) / "log").read_text())
        found: dict[str, Any] = json.loads(result.read_text())
        return found


@dataclass(frozen=True)
class Case:
    """A network, a global batch and the devices, as docs/scaling.md assumes them.

    weights: number of them.
    work: seconds that one device needs for the whole global batch, forward and backward.
    """

    name: str
    weights: float
    work: float
    node: int = 8
    fast: float = 200e9  # bytes/s that a device sends within a node
    slow: float = 20e9  # … to another node
    latency: float = 10e-6  # seconds a message


CASES = (
    Case("ResNet-50, 4,096 images a step", 25.6e6, 4096 / 2500),
    Case("Transformer of 1.3e9, 2.1e6 tokens a step", 1.3e9, 6 * 1.3e9 * 2.1e6 / 150e12),
)


def predict(case: Case, devices: int, sharded: bool) -> tuple[float, float, float]:
    """Seconds of computing and of communication in a step, and bytes a device, as docs/scaling.md has them."""
    fraction = (devices - 1) / devices
    speed = case.fast if devices <= case.node else case.slow
    passes = 3 if sharded else 2  # all-gather twice and reduce-scatter; an all-reduce is one of each
    sent = passes * 4 * case.weights * fraction / speed
    hops = 2 * min(devices, case.node) + 2 * max(devices // case.node, 1).bit_length()
    kept = 16 * case.weights / (devices if sharded else 1)
    return case.work / devices, sent + hops * passes * case.latency, kept


def main() -> None:
    """Prints the measurements, where there is data, and the predictions."""
    if len(sys.argv) > 1:
        import lightning_base.verbs.parser  # noqa: F401  (once, before the forks)

        torch.set_num_threads(1)
        print("strategy  ranks  ms/step  fastest  bytes/weight  all-reduce of 1 kB, 1 MB, 16 MB in ms")
        for strategy, ranks in (("one", 1), *((s, n) for s in ("ddp", "fsdp") for n in (2, 3, 4))):
            found = measure(Path(sys.argv[1]), strategy, ranks)
            reduced = "  ".join(f"{1e3 * t:8.2f}" for t in found["reduced"].values())
            each = found["bytes"] / found["weights"]
            times = f"{1e3 * found['step']:>9.0f}{1e3 * found['fastest']:>9.0f}"
            print(f"{strategy:<8}{ranks:>7}{times}{each:>14.2f}  {reduced}", flush=True)
    for case in CASES:
        print(f"\n{case.name}\nstrategy  devices  computing ms  communication ms  efficiency  GB a device")
        for sharded in (False, True):
            for devices in (8, 64, 1024):
                compute, sent, kept = predict(case, devices, sharded)
                good = compute / max(compute, sent), compute / (compute + sent)
                print(
                    f"{'fsdp' if sharded else 'ddp':<8}{devices:>9}{1e3 * compute:>14.1f}{1e3 * sent:>18.1f}"
                    f"  {good[1]:.0%} … {good[0]:.0%}{kept / 1e9:>12.2f}"
                )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
