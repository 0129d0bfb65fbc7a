"""Several optimizer steps in one call of `training_step`, so that Lightning's path around each is gone once for all."""

from typing import Any

from lightning_base.samples.batch import Batch


def all_but_last(task: Any, batches: list[Batch], first: int) -> None:
    """Takes the steps of all but the last of these batches; that one's is Lightning's own.

    What Lightning does around a step is done here, in its order: forward pass, gradients set to zero, backward pass,
    clipping, the optimizer's step, what schedulers do at each step, and the counts by which a training is resumed,
    ended and logged. What hooks of callbacks would do is not: whoever groups batches sees that there are none.

    Args:
        task: a BaseModule which trains, with one optimizer, in one process and in full precision.
        batches: preprocessed.
        first: number of the first of them in the epoch, from 0.
    """
    trainer = task.trainer
    loop, optimizer = trainer.fit_loop.epoch_loop, trainer.optimizers[0]
    counts = loop.automatic_optimization.optim_progress.optimizer
    every_step = [config for config in trainer.lr_scheduler_configs if config.interval == "step"]
    clip, algorithm = trainer.gradient_clip_val, trainer.gradient_clip_algorithm
    for i, batch in enumerate(batches[:-1]):
        loss = task.loss_of(batch, first + i)
        optimizer.zero_grad()
        counts.zero_grad.increment_ready()
        counts.zero_grad.increment_started()
        counts.zero_grad.increment_completed()
        loss.backward()
        if clip:
            task.configure_gradient_clipping(optimizer, clip, algorithm)
        counts.step.increment_ready()
        optimizer.step()
        counts.step.increment_completed()
        for config in every_step:
            task.lr_scheduler_step(config.scheduler, None)
        if trainer.global_step % trainer.log_every_n_steps == 0:
            step, epoch = loop._batches_that_stepped, float(trainer.current_epoch)
            for logger in trainer.loggers:
                logger.log_metrics({"train_loss_step": float(task.step_loss), "epoch": epoch}, step=step)
            task.demand_finite_loss()
        loop._batches_that_stepped += 1  # what loggers count by has no public name
