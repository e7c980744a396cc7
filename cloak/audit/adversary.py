"""The adversaries: search engines with a gallery, and classifiers trained on concealed photos of the same people."""

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from cloak.audit.figures import Scores
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


Fit = Callable[[Rows, Numbers], Any]


def _linear(features: Rows, owners: Numbers) -> Any:
    """Principal components, then linear discriminants with shrinkage."""
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline

    components = min(120, len(features) - 1, features.shape[1])
    model = make_pipeline(PCA(components, random_state=0), LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.3))
    return model.fit(features, owners)


def _neighbours(features: Rows, owners: Numbers) -> Any:
    """The nine nearest pictures vote, after principal components."""
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    components = min(80, len(features) - 1, features.shape[1])
    nearest = KNeighborsClassifier(min(9, len(features)), weights="distance", metric="cosine")
    return make_pipeline(PCA(components, whiten=True, random_state=0), nearest).fit(features, owners)


def _network(features: Rows, owners: Numbers) -> Any:
    """A small network with one hidden layer, over principal components."""
    from sklearn.decomposition import PCA
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline

    components = min(160, len(features) - 1, features.shape[1])
    network = MLPClassifier((256,), alpha=0.03, max_iter=60, tol=1e-3, random_state=0)
    return make_pipeline(PCA(components, whiten=True, random_state=0), network).fit(features, owners)


CLASSIFIERS: Mapping[str, Fit] = MappingProxyType(
    {"linear discriminants": _linear, "nearest neighbours": _neighbours, "small network": _network}
)
"""What a trained adversary fits to labelled, concealed photos of the very people it looks for."""


def trained(fit: Fit, train: Rows, owners: Numbers, probes: Rows) -> Scores:
    """(probes, people): each person's log probability, by a classifier fitted to the training rows."""
    scores = np.full((len(probes), int(owners.max()) + 1), -1e9)
    if float(train.std(0).max()) < 1e-6:  # all pictures are the same: there is nothing to learn
        return scores
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # "did not converge", "least populated class": an adversary makes do
        model = fit(train, owners)
        found = np.log(np.maximum(model.predict_proba(probes), 1e-30))
    scores[:, model.classes_] = np.nan_to_num(found, nan=-1e9)
    return scores
