"""Claims about budgets: what inputs hold is counted, and clients that came long ago are forgotten."""

import numpy as np
import pytest

from lightning_base.runtime.inputs import Encoded
from lightning_base.serving.budget import CLIENTS, Memory, Rate, Share
from lightning_base.serving.refused import Refused
from lightning_base.serving.sizes import size_of


def test_the_arrays_of_an_input_are_counted() -> None:
    item = Encoded({"image": np.zeros(1000, np.uint8)}, {"image": np.zeros((3, 100), np.float32)})
    assert 2200 <= size_of([item]) < 3500
    assert 100_000 <= size_of({"text": "x" * 100_000}) < 101_000


def test_memory_is_given_back_and_never_goes_beyond_its_limit() -> None:
    memory = Memory(100)
    first, second = Share(memory), Share(memory)
    first.add(60)
    with pytest.raises(Refused, match="too many large inputs"):
        second.add(50)
    assert memory.held == 60
    first.release()
    second.add(100)
    second.release()
    assert memory.held == 0


def test_clients_without_end_take_no_memory_without_end() -> None:
    rate = Rate(1)
    for number in range(CLIENTS + 500):
        rate.take(str(number))
    assert len(rate._buckets) == CLIENTS
    with pytest.raises(Refused, match="more than 1 requests a second"):
        rate.take(str(CLIENTS))
