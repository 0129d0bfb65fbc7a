"""How many labels are wrong, and which: what held-out probabilities show beside the model's own mistakes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
SHARES = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1)  # of the labels, those of which the model is surest
LEVEL = 0.8  # contradiction falls no lower than by this from one share to its surer half where labels are wrong
FEWEST = 50  # labels of a half
LEAST = 0.01  # share of wrong labels below which none is corrected
CHANCE = 0.6  # of being right, that a correction needs
ABLE = 0.75  # accuracy below which a model's suspects are mostly its own mistakes; see benchmarks/labels.py


class Noise(NamedTuple):
    """What is known of wrong labels.

    Attributes:
        share: of labels that are wrong, at least: a lower bound, 0 where the model's own mistakes hide it.
        contradicted: the share of labels that are not the most probable class.
        moved: (C, C) chance that a sample of the first class is labelled as the second, off the diagonal.
    """

    share: float
    contradicted: float
    moved: npt.NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        """The model's accuracy by right labels, as far as wrong ones are known."""
        return min((1 - self.contradicted) / (1 - self.share), 1.0) if self.share < 1 else 0.0

    @property
    def weak(self) -> bool:
        """Whether contradictions may well be the model's mistakes: it errs much, or no wrong label is sure."""
        return self.accuracy < ABLE or self.share < LEAST


def estimated(target: Labels, prob: Probabilities) -> Noise:
    """The noise in given labels (N,), by held-out probabilities (N, C).

    A model errs less the surer it is, and wrong labels contradict it as often however sure it is. So of the labels
    that it is surest of, the largest share is taken of which the surer half is contradicted nearly as often as the
    whole; what is contradicted there is put down to labels, but for what a further fall of that size would take away,
    and less 1.64 standard errors. Noise that only befalls what the model finds hard is not seen.
    """
    sureness, guess = prob.max(axis=1), prob.argmax(axis=1)
    order = np.argsort(-sureness, kind="stable")
    wrong = np.cumsum(guess[order] != target[order])
    n, share, chosen = len(target), 0.0, order[:0]
    for part in SHARES:
        whole = int(n * part)
        half = whole // 2
        if half < FEWEST:
            break
        all_, surer = wrong[whole - 1] / whole, wrong[half - 1] / half
        if surer >= LEVEL * all_:
            rate = min(surer, 2 * surer - all_)
            share = max(rate - 1.64 * np.sqrt(max(rate, 1 / half) * (1 - rate) / half), 0.0)
            chosen = order[:whole]
            break
    c = prob.shape[1]
    moved = np.bincount(guess[chosen] * c + target[chosen], minlength=c * c).reshape(c, c).astype(np.float64)
    moved /= np.maximum(moved.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(moved, 0)
    if len(chosen):
        moved *= share / max(wrong[len(chosen) - 1] / len(chosen), 1e-9)
    return Noise(float(share), float(wrong[-1] / n), moved)


def chances(target: Labels, prob: Probabilities, noise: Noise) -> npt.NDArray[np.float64]:
    """(N,) how probable it is that the most probable class is the true one, given the label; 0 where it is the label.

    By Bayes: of samples like this one that are labelled so, those that the noise has moved here from the suggested
    class. Probabilities are calibrated by how often labels of such probability were given (isotonic regression).
    """
    from sklearn.isotonic import IsotonicRegression

    rows, guess = np.arange(len(target)), prob.argmax(axis=1)
    if noise.weak:
        return np.zeros(len(target))
    given = np.zeros(prob.shape)
    given[rows, target] = 1
    fitted = IsotonicRegression(out_of_bounds="clip").fit(prob.ravel(), given.ravel())
    true = np.maximum(fitted.predict(prob.ravel()).reshape(prob.shape), 1 / len(target))
    true /= true.sum(axis=1, keepdims=True)
    stayed = np.maximum(1 - noise.moved.sum(axis=1), 0.3)
    chance = true[rows, guess] / stayed[guess] * noise.moved[guess, target] / true[rows, target]
    return np.where(guess == target, 0.0, np.minimum(chance, 1.0))
