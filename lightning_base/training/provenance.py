"""Where a result comes from: versions of the libraries, and the commit."""

import shutil
import subprocess

import lightning
import numpy
import sklearn
import torch
import torchmetrics

from lightning_base import __version__


def versions() -> dict[str, str]:
    """The versions that results depend on."""
    return {
        "lightning_base": __version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "torchmetrics": torchmetrics.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": numpy.__version__,
    }


def git_commit() -> str | None:
    """The commit of the working directory, with "+changes" where it has uncommitted ones; None outside git."""
    if shutil.which("git") is None:
        return None
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return None
    changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=False)
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")
