"""Where what is shipped beside the framework lies: networks, data modules, configurations, launchers, a workspace."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
IMPORTED = ("models", "datamodules")  # what `lightning_base.tools.finder` makes importable


def shipped(part: str) -> Path:
    """The folder of a part: beside the package in a checkout, which an editable install uses too, inside it in a wheel.

    Args:
        part: models, datamodules, configs, launch, or workspace, the files of `lightning-base init`'s own.
    """
    installed = PACKAGE if part in IMPORTED else PACKAGE / "shipped"
    return installed / part if (PACKAGE / "shipped").is_dir() else PACKAGE.parent / part
