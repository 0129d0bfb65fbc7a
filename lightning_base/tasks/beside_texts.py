"""What written texts are set beside: one text for every input, and each token by its share in the training part."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from lightning_base.samples.batch import Sequences
from lightning_base.samples.nested import Nested
from lightning_base.samples.payload import Rows
from lightning_base.tasks.agreement import consensus

MOST = 50  # targets that are compared with one another
AT_ONCE = 4096  # targets that are held in memory
TRIVIAL = "the training target that agrees most with others, for every input; each token's share there"


def parts(rows: Rows) -> Iterator[Rows]:
    """Rows, some at a time."""
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


def typical(known: Nested, orders: int) -> Sequences:
    """Of targets (T, ...) the one that agrees most with the others, (1, ...).

    Args:
        known: Sequences, one at least.
        orders: longest runs that are compared.
    """
    return consensus(Sequences(known.values[:, None], known.lengths[:, None]), orders)


def shares(known: Iterable[Tensor], size: int) -> Tensor:
    """(V,) float64, the share of each token among those of targets, where one is added to every count.

    Args:
        known: targets (T,) int64.
        size: tokens that there are at least.
    """
    count = torch.zeros(size, dtype=torch.int64)
    for one in known:
        more = torch.bincount(one, minlength=len(count))
        more[: len(count)] += count
        count = more
    found = count.double() + 1
    return found / found.sum()


def by_share(share: Tensor, own: Sequence[Tensor]) -> dict[str, Tensor]:
    """(N,) each, as `translation.known` has them, for tokens given by their shares (V,).

    Args:
        share: as `shares` gives it.
        own: N targets that are scored, int64.
    """
    logs, most = share.log(), int(share.argmax())
    return {
        "log_prob": torch.stack([logs[one].sum() for one in own]),
        "tokens": torch.tensor([len(one) for one in own], dtype=torch.float64),
        "hits": torch.stack([(one == most).sum().double() for one in own]),
    }
