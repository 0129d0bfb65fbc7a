"""EmbeddingBag: a text classifier over the mean of its words' embeddings.

Source: the bag of embeddings of Joulin et al., "Bag of Tricks for Efficient Text Classification", EACL 2017, without
its n-grams.
"""

import torch
from torch import Tensor, nn


class EmbeddingBag(nn.Module):
    """Mean of the embeddings of a text's words, dropout, and an affine layer.

    Args:
        vocabulary: number of words, with 0 for padding and 1 for unknown ones; of texts `data.max_words`.
        num_outputs: number of logits.
        dim: numbers that describe a word.
        dropout: probability of zeroing a number of the mean in training.
        word_dropout: probability of leaving a word out in training (Iyyer et al. 2015).

    Takes numbers of words (B, T) int64, padded with 0, gives logits (B, num_outputs). A text without words has mean 0.
    """

    def __init__(
        self, vocabulary: int, num_outputs: int, dim: int = 64, dropout: float = 0.0, word_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(vocabulary, dim, mode="mean", padding_idx=0)  # the mean leaves padding out
        self.word_dropout = word_dropout
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, num_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        if self.training and self.word_dropout:
            x = x.masked_fill(torch.rand(x.shape, device=x.device) < self.word_dropout, 0)
        logits: Tensor = self.head(self.words(x))
        return logits
