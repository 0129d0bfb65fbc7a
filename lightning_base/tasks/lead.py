"""The metric that leads: which one it is, which way is better, and in which order the others are shown behind it."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from torchmetrics import Metric

from lightning_base.errors import ConfigError, suggest
from lightning_base.stats import metrics as facts

Mode: TypeAlias = Literal["max", "min"]
SCORE = "score"  # what callbacks and schedulers name to follow it
VALIDATION = "val_"


def ordered(names: Iterable[str], score: str | None, order: Iterable[str], given: Iterable[str]) -> list[str]:
    """Metrics in the order in which they are shown: the first is the score, what runs are chosen and compared by.

    Args:
        names: all of them.
        score: the one that was asked for; None for the task's own first.
        order: the task's own.
        given: those that were given beside the task's own, which come second.
    """
    there, behind = list(names), set(given)
    own = [name for name in order if name in there]
    own += facts.headline(name for name in there if name not in own and name not in behind)
    first = score if score in there else next(iter([*own, *there]), None)
    found = [name for name in (first, *given, *own) if name in there]
    return list(dict.fromkeys([*found, *there]))


def larger_is_better(name: str, metric: Any, is_own: bool) -> bool | None:
    """Whether a metric's greater value is the better one: as it says itself, else by its name; None where neither does.

    Args:
        name: the metric's.
        metric: what computes it.
        is_own: whether it is the task's, of which the name says what it is.
    """
    said = getattr(metric, "higher_is_better", None)
    return bool(said) if said is not None else facts.higher_is_better(name) if is_own else None


def demand_score(score: str | None, mode: Mode | None, metrics: Mapping[str, Metric], given: Iterable[str]) -> None:
    """Refuses a score that is no metric of the task, or of which nothing says which way is better.

    Args:
        score: its name.
        mode: what was said of it.
        metrics: the task's, by name.
        given: those that are not the task's own.

    Raises:
        ConfigError: naming the key and the mend.
    """
    if mode not in (None, "max", "min"):
        raise ConfigError(f"model.score_mode: {mode!r} is neither max nor min")
    if score is None:
        if mode is not None:
            raise ConfigError("model.score_mode: says which way is better, and no metric is named; give model.score")
        return
    if score not in metrics:
        plain = str(score).removeprefix(VALIDATION)
        hint = f"; did you mean {plain!r}?" if plain in metrics else suggest(str(score), metrics)
        raise ConfigError(f"model.score: no metric {score!r}, the task has {', '.join(metrics)}{hint}")
    known = larger_is_better(score, metrics[score], score not in given)
    if known is None and mode is None:
        raise ConfigError(f"model.score: {score} does not say which way is better; give model.score_mode: max or min")
    if known is not None and mode is not None and known != (mode == "max"):
        raise ConfigError(
            f"model.score_mode: {mode} takes the worst {score} for the best; leave it out, it is known to be "
            f"{'max' if known else 'min'}"
        )
