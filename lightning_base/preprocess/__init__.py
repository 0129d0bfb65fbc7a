"""State fitted on a fold's training role alone, kept in checkpoints, and applied alike everywhere."""

from lightning_base.preprocess.base import Preprocess
from lightning_base.preprocess.several import Several
from lightning_base.preprocess.spectrogram import LogMel
from lightning_base.preprocess.standardize import Standardize
from lightning_base.preprocess.table import TablePreprocess
from lightning_base.preprocess.tokenizer import Tokenizer
from lightning_base.preprocess.vocabulary import Vocabulary

__all__ = ["LogMel", "Preprocess", "Several", "Standardize", "TablePreprocess", "Tokenizer", "Vocabulary"]
