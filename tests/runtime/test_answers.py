"""Claims about answers: they are numbers, or the input that has none is named."""

import numpy as np
import pytest

from lightning_base.runtime.answers import answers_of
from lightning_base.runtime.errors import InputError


def test_an_answer_that_is_no_finite_number_names_its_input() -> None:
    settings = {"kind": "classification", "classes": ["no", "yes"]}
    prob = np.array([[0.5, 0.5], [0.1, 0.9], [np.nan, np.nan], [np.inf, 0]], dtype=np.float32)
    assert [one["pred"] for one in answers_of(settings, {"pred": prob[:2]}, [None, None])] == ["no", "yes"]
    with pytest.raises(InputError) as refused:
        answers_of(settings, {"pred": prob}, [None] * 4)
    assert refused.value.field == "[2]"
    with pytest.raises(InputError) as refused:
        answers_of(settings, {"pred": prob[3:]}, [None])
    assert refused.value.field == ""
