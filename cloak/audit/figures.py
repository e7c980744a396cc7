"""Figures of an audit: ranks, match rates, intervals, and how much of a photo was changed."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cloak.geometry import RGB

FALSE_MATCHES = 1e-3
"""The false match rate at which true match rates are told."""

Scores = npt.NDArray[np.float64]
"""(probes, people): how alike; a row of -inf is a face that the adversary did not find."""


@dataclass(frozen=True, slots=True, order=True)
class Rate:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


def rank(scores: Scores, truth: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """(probes,): how many other people are at least as near as the right one; inf where the face was not found.

    Ties count against the adversary by half, as a guess among equals would.
    """
    own = scores[np.arange(len(truth)), truth][:, None]
    above = (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
    return np.where(np.isfinite(own[:, 0]), above, np.inf)


def share(hits: npt.NDArray[np.bool_], people: npt.NDArray[np.intp], rounds: int = 1000) -> Rate:
    """The share of hits; the interval is a bootstrap over people, since photos of one person are alike.

    Where nothing or everything hits, resampling shows no spread: there Wilson's interval over people is given.
    """
    if not len(hits):
        return Rate(math.nan, math.nan, math.nan)
    numbers, places = np.unique(people, return_inverse=True)
    right = np.bincount(places, hits.astype(np.float64))
    count = np.bincount(places)
    value = float(right.sum() / count.sum())
    draws = np.random.default_rng(0).integers(0, len(numbers), (rounds, len(numbers)))
    spread = right[draws].sum(1) / count[draws].sum(1)
    low, high = (float(np.quantile(spread, q)) for q in (0.025, 0.975))
    if low == high:
        n, z = len(numbers), 1.96
        middle, half = (value + z * z / (2 * n)) / (1 + z * z / n), z * math.sqrt(z * z / (4 * n * n)) / (1 + z * z / n)
        low, high = max(middle - half, 0.0), min(middle + half, 1.0)
        low, high = min(low, value), max(high, value)
    return Rate(value, low, high)


def threshold(scores: Scores, truth: npt.NDArray[np.intp], rate: float = FALSE_MATCHES) -> float:
    """The score that this share of the pairs of different people exceeds; infinite without any pair."""
    if not len(scores):
        return math.inf
    others = np.ones(scores.shape, np.bool_)
    others[np.arange(len(truth)), truth] = False
    return float(np.quantile(scores[others], 1 - rate))


def psnr(before: RGB, after: RGB) -> float:
    """Peak signal-to-noise ratio in decibels; 99 for equal pictures."""
    error = float(np.mean((before.astype(np.float64) - after) ** 2))
    return min(99.0, 10 * math.log10(255**2 / error)) if error else 99.0


def ssim(before: RGB, after: RGB) -> float:
    """Structural similarity of luminance (Wang et al. 2004, Gaussian window of 1.5 pixels), mean over the picture."""
    a, b = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (before, after))

    def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float64)

    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * ma * mb + c1) * (2 * both + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return float(likeness.mean())
