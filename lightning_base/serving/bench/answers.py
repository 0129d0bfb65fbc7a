"""Whether two answers are the same, up to what rounding in another batch leaves."""

from math import isclose

TOLERANCE = 1e-4  # what an export is held to; relative above one


def same(answer: object, expected: object) -> bool:
    """Whether two JSON values are: numbers with a point to 1e-4 (of those above one), all else exactly."""
    if isinstance(expected, dict):
        return (
            isinstance(answer, dict)
            and answer.keys() == expected.keys()
            and all(same(answer[key], value) for key, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(answer, list)
            and len(answer) == len(expected)
            and all(same(one, value) for one, value in zip(answer, expected, strict=True))
        )
    if _number(answer) and _number(expected) and (isinstance(answer, float) or isinstance(expected, float)):
        assert isinstance(answer, int | float)
        assert isinstance(expected, int | float)
        return isclose(answer, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(answer) is type(expected) and answer == expected


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
