"""Tasks: what trains a network. Loss, predictions, metrics, penalties, optimizer."""

from lightning_base.tasks.base import BaseModule, Output
from lightning_base.tasks.classification import Classification
from lightning_base.tasks.detection import Detection
from lightning_base.tasks.gan import GAN
from lightning_base.tasks.regression import Regression

__all__ = ["GAN", "BaseModule", "Classification", "Detection", "Output", "Regression"]
