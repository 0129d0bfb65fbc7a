"""What chose the weights of a run that are scored: in words for the summary, and as the checkpoint itself."""

from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint, Timer

from lightning_base.samples.sampling import drawn
from lightning_base.training.checkpoint import opened
from lightning_base.training.run import Run


def scored_checkpoint(run: Run) -> Path:
    """The checkpoint whose weights are scored: the best by `data.inner_val` where one is monitored, else the last.

    A monitored checkpoint is chosen by held-out samples where there is no inner slice, and so is not what is scored.
    """
    if run.datamodule.inner_val is not None:
        for callback in _monitoring(run):
            if callback.best_model_path:
                return Path(callback.best_model_path)
    return run.last_checkpoint


def trained_epochs(run: Run) -> int:
    """How many epochs a run has trained; the one that renews BatchNorm's statistics of averaged weights is none."""
    epochs, most = run.trainer.current_epoch, run.experiment.config.trainer.max_epochs
    return epochs if most is None or most < 0 else min(epochs, most)


def scored_epochs(run: Run, scored: Path) -> float:
    """How many epochs the scored weights have been trained for; not a whole number where they are of an epoch's middle.

    Args:
        run: one that has been trained.
        scored: its checkpoint with these weights.
    """
    epochs, steps = trained_epochs(run), run.trainer.global_step
    if scored == run.last_checkpoint:
        return epochs
    then = int(opened(scored)["global_step"])
    return epochs * then / steps


def selection(run: Run) -> str:
    """What chose the weights that are scored, in words for the summary."""
    ends = [c for c in run.trainer.callbacks if isinstance(c, Timer)]  # type: ignore[attr-defined]
    late = any(left is not None and left <= 0 for left in (timer.time_remaining() for timer in ends))
    told = [_selection(run)]
    told += [f"trainer.max_time ended it after {run.trainer.global_step} steps"] if late else []
    if (how := drawn(run.datamodule.sampling)) is not None:
        classes = run.datamodule.samples("pool").kind == "class"
        told.append(f"trained on {how}" + (", so that probabilities are of such a prior" if classes else ""))
    return "; ".join(told)


def _selection(run: Run) -> str:
    stopped = any(not c.monitor.startswith("train") for c in run.trainer.early_stopping_callbacks if c.monitor)
    led = any(c.reduce_on_plateau and "train" not in str(c.monitor) for c in run.trainer.lr_scheduler_configs)
    if run.datamodule.inner_val is not None:
        chosen = scored_checkpoint(run) != run.last_checkpoint
        what = [*(["best checkpoint"] if chosen else ["last epoch"]), *(["stopped early"] if stopped else [])]
        what += ["the learning rate led"] if led else []
        by = (
            f" by an inner slice of the training part ({run.datamodule.inner_val:.0%})"
            if chosen or stopped or led
            else ""
        )
        return ", ".join(what) + by + "; the held-out samples chose nothing"
    if stopped:
        return "last epoch, stopped early by the held-out samples that also score it: the scores are optimistic"
    if led:
        return "last epoch, the learning rate led by the held-out samples that also score it: optimistic scores"
    if _monitoring(run):
        return "last epoch; the monitored checkpoints beside it are not what is scored"
    return "last epoch"


def _monitoring(run: Run) -> list[ModelCheckpoint]:
    """The callbacks that keep the best checkpoint by some metric."""
    return [c for c in run.trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor]
