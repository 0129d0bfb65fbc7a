"""A callback that counts XLA's compilations, and one that fails a run, to be named in a YAML or on the command line."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer


def compilations() -> int:
    """How many programs XLA has compiled in this process."""
    import torch_xla.debug.metrics as met

    data = met.metric_data("CompileTime")
    return data[0] if data else 0


class Compilations(Callback):
    """Appends to compilations.txt in the working directory, before each epoch, how many there have been."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lightning's hook."""
        with Path("compilations.txt").open("a") as file:
            file.write(f"{compilations()}\n")


class Break(Callback):
    """Fails the run in its second epoch, unless a file `go` stands in the working directory."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Lightning's hook."""
        if trainer.current_epoch == 1 and batch_idx == 2 and not Path("go").exists():
            raise RuntimeError("broken off")
