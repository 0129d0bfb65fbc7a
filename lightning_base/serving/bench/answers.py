"""Whether two answers are the same, up to what rounding in another batch leaves."""

from collections.abc import Mapping, Sequence

from lightning_base.runtime.comparing import difference, scale_of

BOXES = {"boxes", "scores", "labels", "size"}


def slack_of(expected: Sequence[object], tolerance: float) -> float:
    """How far numbers may be apart: the tolerance, of values that of the largest of all answers."""
    scale = scale_of([one for one in expected if isinstance(one, dict)])
    return tolerance * (max(scale.values(), default=1.0) if isinstance(scale, Mapping) else scale)


def same(answer: object, expected: object, slack: float) -> bool:
    """Whether two JSON values are: numbers with a point up to the slack, all else exactly; boxes in any order."""
    if isinstance(expected, dict):
        if not isinstance(answer, dict) or answer.keys() != expected.keys():
            return False
        if expected.keys() >= BOXES:
            try:
                return difference(expected, answer) <= slack
            except (KeyError, TypeError, ValueError):  # of another form
                return False
        return all(same(answer[key], value, slack) for key, value in expected.items())
    if isinstance(expected, list):
        if not isinstance(answer, list) or len(answer) != len(expected):
            return False
        return all(same(one, value, slack) for one, value in zip(answer, expected, strict=True))
    if isinstance(expected, float) or isinstance(answer, float):
        numbers = isinstance(answer, int | float) and isinstance(expected, int | float)
        return numbers and bool not in (type(answer), type(expected)) and abs(answer - expected) <= slack  # type: ignore[operator]
    return type(answer) is type(expected) and answer == expected
