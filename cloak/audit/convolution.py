"""A small convolutional network that learns faces, then learns them again as an effect leaves them (extra `audit`)."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Tensor: TypeAlias = Any
"""A `torch.Tensor`; PyTorch is an extra, and is imported when a network is fitted."""

Rows = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]

WIDTH = 24
"""Channels of the first layer; each of the next two has twice as many as the one before."""

BATCH = 64
STEPS = 600
"""Of each of the two trainings: about eleven looks at each of the 3,400 pictures that 100 people give."""

SHIFT = 2
"""By how many pixels pictures are moved in training: no two detectors align alike."""


class Convolutional:
    """Knows people by pictures of them. Fit it to bare faces first, then to concealed ones: that is fine-tuning.

    Args:
        people: how many there are.
        side: of the square pictures, in pixels; a row is such a picture of RGB, flat.
    """

    def __init__(self, people: int, side: int) -> None:
        import torch

        self._torch, self.classes_, self._side = torch, np.arange(people), side
        self._random = torch.Generator().manual_seed(0)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self._network = _network(torch, people, side)

    def fit(self, rows: Rows, owners: Numbers) -> "Convolutional":
        """Trains on (N, side * side * 3) pictures of the people of these numbers, from where it stands."""
        torch = self._torch
        f = torch.nn.functional
        self._middle, self._spread = rows.mean(0), max(float(rows.std(0).mean()), 1e-3)
        pictures, truth = self._pictures(rows), torch.from_numpy(owners)
        optimiser = torch.optim.AdamW(self._network.parameters(), 3e-3, weight_decay=0.05)
        pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=STEPS)
        self._network.train()
        with torch.random.fork_rng():
            torch.manual_seed(0)  # of dropout
            for _ in range(STEPS):
                chosen = torch.randint(len(rows), (BATCH,), generator=self._random)
                loss = f.cross_entropy(
                    self._network(self._varied(pictures[chosen])), truth[chosen], label_smoothing=0.1
                )
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                pace.step()
        return self

    def predict_proba(self, rows: Rows) -> npt.NDArray[np.float64]:
        """(N, people): how likely each picture shows each of them, by it and its mirror image."""
        torch = self._torch
        self._network.eval()
        with torch.no_grad():
            pictures = self._pictures(rows)
            both = sum(torch.softmax(self._network(view), 1) for view in (pictures, pictures.flip(3)))
        return np.asarray(both.numpy() / 2, np.float64)

    def _pictures(self, rows: Rows) -> Tensor:
        """(N, 3, side, side), about 0: what all pictures have in common tells of nobody."""
        plain = ((rows - self._middle) / self._spread).astype(np.float32)
        return self._torch.from_numpy(plain).reshape(-1, self._side, self._side, 3).permute(0, 3, 1, 2).contiguous()

    def _varied(self, pictures: Tensor) -> Tensor:
        """Moved, mirrored, lighter, stronger, noisier: each picture in its own way, but for the move."""
        torch, draw = self._torch, self._random
        count, side = len(pictures), self._side
        padded = torch.nn.functional.pad(pictures, (SHIFT,) * 4, mode="replicate")
        y, x = torch.randint(2 * SHIFT + 1, (2,), generator=draw).tolist()
        moved = padded[:, :, y : y + side, x : x + side]
        mirrored = torch.rand((count, 1, 1, 1), generator=draw) < 0.5
        moved = torch.where(mirrored, moved.flip(3), moved)
        gain, shift = (torch.randn((count, 1, 1, 1), generator=draw) * 0.2 for _ in range(2))
        return moved * (1 + gain) + shift + 0.1 * torch.randn(moved.shape, generator=draw)


def _network(torch: Any, people: int, side: int) -> Any:
    n = torch.nn
    layers: list[Any] = []
    before = 3
    for channels in (WIDTH, 2 * WIDTH, 4 * WIDTH):
        layers += [n.Conv2d(before, channels, 3, padding=1, bias=False), n.BatchNorm2d(channels), n.ReLU()]
        layers += [n.MaxPool2d(2)]
        before = channels
    # Where on the face something is says as much as what it is: places are kept, not averaged away.
    flat = before * (side // 8) ** 2
    return n.Sequential(*layers, n.Flatten(), n.Dropout(0.4), n.Linear(flat, 256), n.ReLU(), n.Linear(256, people))
