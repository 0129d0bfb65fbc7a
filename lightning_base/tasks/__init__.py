"""Tasks: what trains a network. Loss, predictions, metrics, penalties, optimizer."""

from lightning_base.tasks.base import BaseModule, Output
from lightning_base.tasks.classification import Classification
from lightning_base.tasks.detection import Detection
from lightning_base.tasks.language_model import LanguageModel
from lightning_base.tasks.regression import Regression
from lightning_base.tasks.translation import Translation

__all__ = ["BaseModule", "Classification", "Detection", "LanguageModel", "Output", "Regression", "Translation"]
