"""Claims about how far answers are apart: small values count as much as large ones beside them."""

import math

import pytest

from lightning_base.runtime.comparing import difference, scale_of


def test_each_of_several_values_is_measured_by_its_own_largest() -> None:
    said = [{"pred": {"price": 2e6, "share": 0.004}}, {"pred": {"price": -1e6, "share": 0.002}}]
    other = {"pred": {"price": 2e6, "share": 0.005}}
    assert difference(said[0], other, scale_of(said)) == pytest.approx(0.25)
    assert difference(said[0], {"pred": {"price": 2e6 + 20, "share": 0.004}}, scale_of(said)) == pytest.approx(1e-5)
    assert difference(said[0], {"pred": {"price": 2e6}}, scale_of(said)) == math.inf


def test_small_values_are_measured_by_the_largest_of_them() -> None:
    said = [{"pred": 0.001}, {"pred": -0.002}, {"pred": 0.0}]
    assert difference(said[0], {"pred": 0.0012}, scale_of(said)) == pytest.approx(0.1)
    assert difference({"pred": 0.0}, {"pred": 0.0}, scale_of([{"pred": 0.0}])) == 0
    assert difference(
        {"pred": [0.001, 4.0]}, {"pred": [0.001, 4.4]}, scale_of([{"pred": [0.001, 4.0]}])
    ) == pytest.approx(0.1)


def test_probabilities_are_measured_as_they_are() -> None:
    said = {"pred": "a", "prob": {"a": 1e-3, "b": 0.999}, "threshold": 5e-4}
    assert scale_of([said]) == 1
    assert difference(said, said | {"prob": {"a": 2e-3, "b": 0.998}}, scale_of([said])) == pytest.approx(1e-3)
