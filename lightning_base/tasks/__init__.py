"""Tasks: what trains a network. Loss, predictions, metrics, penalties, optimizer."""

from lightning_base.finetune.given import InitFrom
from lightning_base.tasks.any_module import AnyModule
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.binary import Binary
from lightning_base.tasks.classification import Classification
from lightning_base.tasks.detection import Detection
from lightning_base.tasks.gan import GAN
from lightning_base.tasks.given_losses import Dice, Focal
from lightning_base.tasks.language_model import LanguageModel
from lightning_base.tasks.multi_label import MultiLabel
from lightning_base.tasks.predictor import Output
from lightning_base.tasks.quantiles import Quantiles
from lightning_base.tasks.regression import Regression
from lightning_base.tasks.translation import Translation

__all__ = [
    "GAN",
    "AnyModule",
    "BaseModule",
    "Binary",
    "Classification",
    "Detection",
    "Dice",
    "Focal",
    "InitFrom",
    "LanguageModel",
    "MultiLabel",
    "Output",
    "Quantiles",
    "Regression",
    "Translation",
]
