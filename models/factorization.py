"""Factorization: ratings as the product of a user's and an item's factors, with biases.

Source: Koren, Bell & Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 2009.
"""

import torch
from torch import Tensor, nn


class Factorization(nn.Module):
    """mean + bias of the user + bias of the item + the product of their factors.

    Users and items not seen in training (number 0) have no factors and no bias: what is left is the mean and the other
    one's bias.

    Args:
        users: the most users there may be in training.
        items: the most items there may be in training.
        factors: numbers that describe a user or an item.
        mean: about the average rating; it is not learnt, so that weight decay draws ratings to it and not to 0.

    Takes (B, 2) whole numbers of users and items from 0, gives (B, 1).
    """

    def __init__(self, users: int, items: int, factors: int = 32, mean: float = 0.0) -> None:
        super().__init__()
        self.mean = float(mean)
        self.user = nn.Embedding(users + 1, factors, padding_idx=0)  # the padding's row stays 0
        self.item = nn.Embedding(items + 1, factors, padding_idx=0)
        self.user_bias = nn.Embedding(users + 1, 1, padding_idx=0)
        self.item_bias = nn.Embedding(items + 1, 1, padding_idx=0)
        with torch.no_grad():
            for table, std in ((self.user, 0.1), (self.item, 0.1), (self.user_bias, 0.0), (self.item_bias, 0.0)):
                table.weight[1:].normal_(std=std) if std else table.weight.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Ratings (B, 1)."""
        user, item = x.long().unbind(dim=1)
        product = (self.user(user) * self.item(item)).sum(dim=1, keepdim=True)
        rating: Tensor = self.mean + self.user_bias(user) + self.item_bias(item) + product
        return rating
