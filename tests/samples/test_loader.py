"""Claims about loading: the same samples in the same batches for any workers and ranks, and a position that resumes."""

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import BatchLoader
from lightning_base.samples.payload import Ragged, View, hash_payload
from lightning_base.samples.samples import Feature, Samples


def samples(n: int = 103) -> Samples:
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (n, 3, 4, 4), dtype=np.uint8)
    table = pd.DataFrame({"id": [f"s{i:03d}" for i in range(n)], "target": rng.integers(0, 5, n)})
    return Samples(inputs, table, tuple("abcde"))


def loader(**options: object) -> BatchLoader:
    defaults = {"samples": samples(), "rows": np.arange(3, 103), "batch_size": 16, "seed": 4, "train": True}
    return BatchLoader(**(defaults | options))  # type: ignore[arg-type]


def epoch(batches: BatchLoader, number: int = 0) -> list[Batch]:
    batches.sampler.set_epoch(number)
    return list(batches)


def same(a: Batch, b: Batch) -> None:
    for left, right in zip(a, b, strict=True):
        if isinstance(left, Batch):
            same(left, right)
        elif isinstance(left, torch.Tensor):
            assert torch.equal(left, right)
        else:
            assert left == right


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers: int) -> None:
    for number in range(2):
        plain, threaded = (epoch(loader(workers=w, partners=True), number) for w in (0, workers))
        assert len(plain) == len(threaded) == 7
        for a, b in zip(plain, threaded, strict=True):
            same(a, b)


@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_together_get_the_global_batches_of_one(world: int) -> None:
    whole = epoch(loader(partners=True), 1)
    shares = [epoch(loader(partners=True, rank=r, world_size=world), 1) for r in range(world)]
    for i, batch in enumerate(whole):
        rows = [row for share in shares if share[i].share for row in share[i].rows.tolist()]
        assert sorted(rows) == sorted(batch.rows.tolist())
        means = [share[i].share * share[i].x.double().mean() for share in shares]
        assert torch.stack(means).mean() == pytest.approx(batch.x.double().mean()), "shares weigh a rank's mean"
        partner = dict(zip(batch.rows.tolist(), batch.partner.rows.tolist(), strict=True))
        for share in shares:
            assert [partner[r] for r in share[i].rows.tolist()] == share[i].partner.rows.tolist()


@pytest.mark.parametrize("world", [1, 2, 3, 4, 7])
def test_evaluation_counts_each_sample_once_at_any_world_size(world: int) -> None:
    shares = [epoch(loader(train=False, rank=r, world_size=world)) for r in range(world)]
    rows = [row for share in shares for batch in share if batch.share for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(3, 103))
    sizes = [sum(len(b.rows) for b in share) for share in shares]
    assert max(sizes) - min(sizes) <= len(shares[0])  # at most one sample a batch


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_position_saved_mid_epoch_goes_on_with_the_next_batch(workers: int, stop: int) -> None:
    whole = epoch(loader(workers=workers), 2)
    first = loader(workers=workers)
    first.sampler.set_epoch(2)
    iterator = iter(first)
    for _ in range(stop):
        next(iterator)
    state = first.state_dict()
    iterator.close()
    second = loader(workers=workers)
    second.load_state_dict(state)
    rest = epoch(second, 2)
    assert len(rest) == (7 - stop if stop < 7 else 7), "a finished epoch begins anew"
    for a, b in zip(rest, whole[stop:] if stop < 7 else whole, strict=True):
        same(a, b)
    assert len(epoch(second, 3)) == 7
    third = loader(workers=workers)
    third.load_state_dict(state)
    assert len(epoch(third, 3)) == 7, "the position is of another epoch"


def test_partners_are_training_samples_drawn_anew_each_epoch() -> None:
    batches = loader(partners=True, rows=np.arange(0, 100, 2))
    drawn = [np.concatenate([b.partner.rows for b in epoch(batches, e)]) for e in range(40)]
    assert not np.array_equal(drawn[0], drawn[1])
    assert set(np.concatenate(drawn)) == set(range(0, 100, 2))
    counts = np.bincount(np.concatenate(drawn))[::2]
    assert counts.max() < 2 * 40, "partners are drawn evenly"


def test_an_epochs_order_is_a_function_of_seed_and_epoch_alone() -> None:
    batches = loader()
    later = [b.rows for b in epoch(batches, 5)]
    epoch(batches, 0)
    assert all(torch.equal(a, b.rows) for a, b in zip(later, epoch(batches, 5), strict=True))
    assert not torch.equal(later[0], epoch(batches, 6)[0].rows)
    assert not torch.equal(later[0], epoch(loader(seed=5), 5)[0].rows)


def test_ragged_samples_are_padded_cut_and_measured() -> None:
    parts = [np.arange(1, n + 1, dtype=np.int16) for n in (3, 1, 5, 2)]
    ragged = Ragged.of(parts, np.zeros(0, np.int16))
    padded, lengths = ragged.padded(np.array([2, 0, 1]))
    assert padded.tolist() == [[1, 2, 3, 4, 5], [1, 2, 3, 0, 0], [1, 0, 0, 0, 0]]
    assert lengths.tolist() == [5, 3, 1]
    padded, lengths = ragged.padded(np.array([2, 1]), longest=4, fixed=True)
    assert padded.tolist() == [[1, 2, 3, 4], [1, 0, 0, 0]]
    assert lengths.tolist() == [4, 1]
    table = pd.DataFrame({"id": list("abcd"), "target": [0.0, 1.0, 2.0, 3.0]})
    data = Samples(ragged, table, features=(Feature("text", ()),)).take(np.array([3, 2]))
    batch = BatchLoader(data, np.array([0, 1]), 2).gather(np.array([1, 0]))
    assert batch.x.tolist() == [[1, 2, 3, 4, 5], [1, 2, 0, 0, 0]]
    assert batch.lengths.tolist() == [5, 2]
    assert batch.y.tolist() == [2.0, 3.0]


def test_equal_content_has_equal_hashes_and_padding_is_no_content() -> None:
    parts = [np.array(v, np.int16) for v in ([1, 2], [1, 2, 0], [1, 2], [3])]
    hashes = hash_payload(Ragged.of(parts, np.zeros(0, np.int16)))
    assert hashes[0] == hashes[2]
    assert len(set(hashes)) == 3
    array = np.zeros((3, 2), np.float32)
    assert len(set(hash_payload(array))) == 1


def test_the_fingerprint_is_the_contents_not_the_rows_order() -> None:
    data = samples()
    order = np.random.default_rng(1).permutation(len(data))
    shuffled = Samples(data.inputs[order], data.table.iloc[order].reset_index(drop=True), data.classes)
    assert shuffled.fingerprint == data.fingerprint == data.take(order).fingerprint
    changed = data.inputs.copy()
    changed[50, 0, 0, 0] ^= 1
    assert Samples(changed, data.table, data.classes).fingerprint != data.fingerprint
    relabelled = data.table.assign(target=np.roll(data.table["target"], 1))
    assert Samples(data.inputs, relabelled, data.classes).fingerprint != data.fingerprint


def test_taking_rows_copies_no_inputs() -> None:
    data = samples()
    part = data.take(np.array([5, 1, 7])).take(np.array([2, 0]))
    assert isinstance(part.inputs, View)
    assert part.inputs.base is data.inputs
    assert part.table["id"].tolist() == ["s007", "s005"]
    assert np.array_equal(part.inputs[np.arange(2)], data.inputs[[7, 5]])
