"""The adversaries: search engines with a gallery, and classifiers trained on concealed photos of the same people."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from cloak.audit.figures import Scores
from cloak.effects.tone import LUMA
from cloak.geometry import RGB
from cloak.recognise import ARCFACE, Embeddings, Frame

Numbers = npt.NDArray[np.intp]
Rows = npt.NDArray[np.float32]

WHOLE = ARCFACE.window(-24, -24, 160, 32)
"""Face, hair, collar and what is beside the head: all that a photo tells, concealed or not."""

INNER = ARCFACE.window(17, 26, 78, 20)
"""Only what lies under the cover: what an effect itself gives away."""

AROUND, UNDER = "head and surroundings", "under the cover"

PARTS: Mapping[str, Frame] = MappingProxyType({AROUND: WHOLE, UNDER: INNER})
"""What trained adversaries look at."""


def search(probes: Embeddings, gallery: Embeddings, owners: Numbers) -> Scores:
    """How near each probe comes to each person: the best cosine with any of their pictures in the gallery."""
    cosines = probes.astype(np.float64) @ gallery.T.astype(np.float64)
    people = int(owners.max()) + 1
    return np.stack([cosines[:, owners == person].max(1) for person in range(people)], axis=1)


def pixels(pictures: RGB) -> Rows:
    """(N, side * side * 3): what a classifier of plain pixels sees."""
    return np.asarray(pictures.reshape(len(pictures), -1) / np.float32(255) - np.float32(0.5), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What a trained adversary learns from: pictures of the people it looks for, as rows of `pixels`.

    Attributes:
        rows, owners: concealed pictures, and whose they are.
        bare, bare_owners: the same photos before they were concealed.
    """

    rows: Rows
    owners: Numbers
    bare: Rows
    bare_owners: Numbers


Fit = Callable[[Lesson], Any]


def _linear(lesson: Lesson) -> Any:
    """Principal components, then linear discriminants with shrinkage."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    components = _components(lesson, 120)
    model = make_pipeline(PCA(components, random_state=0), LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.3))
    return model.fit(lesson.rows, lesson.owners)


def _colours(lesson: Lesson) -> Any:
    """Linear discriminants that see colour apart from lightness: noise on one of them does not hide the other."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    components = _components(lesson, 240)
    model = make_pipeline(
        FunctionTransformer(_apart),
        StandardScaler(),
        PCA(components, random_state=0),
        LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.6),
    )
    return model.fit(lesson.rows, lesson.owners)


def _apart(rows: Rows) -> Rows:
    """(N, 9 for each pixel): lightness; differences from grey, as they are and as a hue; ratios of red, green, blue."""
    rgb = np.maximum(rows.reshape(len(rows), -1, 3) + np.float32(0.5), 0)
    colour = rgb - rgb.mean(2, keepdims=True)
    hue = colour / (np.linalg.norm(colour, axis=2, keepdims=True) + np.float32(0.012))
    ratios = np.log(rgb + np.float32(0.016))
    ratios = (ratios - ratios.mean(2, keepdims=True))[..., :2]
    lightness = rgb @ LUMA.astype(np.float32)[:, None]
    return np.asarray(np.concatenate([lightness, colour, hue, ratios], 2).reshape(len(rows), -1), np.float32)


def _neighbours(lesson: Lesson) -> Any:
    """The nine nearest pictures vote, after principal components."""
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    components = _components(lesson, 80)
    nearest = KNeighborsClassifier(min(9, len(lesson.rows)), weights="distance", metric="cosine")
    return make_pipeline(PCA(components, whiten=True, random_state=0), nearest).fit(lesson.rows, lesson.owners)


def _convolutional(lesson: Lesson) -> Any:
    """A convolutional network that knows the bare faces, fine-tuned on the concealed ones."""
    from cloak.audit.convolution import Convolutional

    side = math.isqrt(lesson.rows.shape[1] // 3)
    network = Convolutional(int(max(lesson.owners.max(), lesson.bare_owners.max())) + 1, side)
    return network.fit(lesson.bare, lesson.bare_owners).fit(lesson.rows, lesson.owners)


def _components(lesson: Lesson, most: int) -> int:
    return int(min(most, len(lesson.rows) - 1, lesson.rows.shape[1]))


CLASSIFIERS: Mapping[str, Fit] = MappingProxyType(
    {
        "linear discriminants": _linear,
        "colour discriminants": _colours,
        "nearest neighbours": _neighbours,
        "convolutional network": _convolutional,
    }
)
"""What a trained adversary fits to labelled, concealed photos of the very people it looks for."""


def trained(fit: Fit, lesson: Lesson, probes: Rows, people: int) -> Scores:
    """(probes, people): each person's log probability, by a classifier fitted to the lesson."""
    scores = np.full((len(probes), people), -1e9)
    # No picture, or all are the same: there is nothing to learn.
    if not len(lesson.rows) or float(lesson.rows.std(0).max()) < 1e-6:
        return scores
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # "did not converge", "least populated class": an adversary makes do
        model = fit(lesson)
        found = np.log(np.maximum(model.predict_proba(probes), 1e-30))
    scores[:, model.classes_] = np.nan_to_num(found, nan=-1e9)
    return scores
