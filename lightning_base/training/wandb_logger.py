"""Weights & Biases without its thirty lines a run: silent unless asked otherwise, and one line on where the run is."""

import os

from jsonargparse import Namespace
from lightning.pytorch.loggers import WandbLogger

from lightning_base.tools.console import Level, console, level


def hush(logger: Namespace) -> None:
    """Makes W&B silent by its own setting, but where the user has settings of it, asks for much, or debugs it.

    Args:
        logger: the configuration of a WandbLogger.
    """
    given = logger.get("dict_kwargs") or {}
    if "settings" in given or "WANDB_SILENT" in os.environ or level() == Level.VERBOSE:
        return
    try:
        from wandb import Settings
    except ImportError:  # the logger itself says what is missing
        return
    logger.dict_kwargs = {**given, "settings": Settings(silent=True)}


def end(logger: WandbLogger) -> None:
    """Ends a run, and says where it is: its address or, offline, its folder."""
    run = logger.experiment
    where = f"{run.settings.sync_dir} (`wandb sync` sends it)" if run.offline else run.url
    run.finish()
    console().print(f"wandb: {where}", soft_wrap=True)
