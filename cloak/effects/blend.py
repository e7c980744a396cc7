"""Concealing one window: the effect's pixels on the core, a blend in the feather, the photo's own beyond."""

from dataclasses import replace

import cv2
import numpy as np

from cloak.effects.base import Effect, Noise
from cloak.effects.registry import make, name_of
from cloak.errors import CloakError, ConcealmentFailed
from cloak.geometry import Pixels, Size
from cloak.masks import Mask, draw


def conceal(pixels: Pixels, mask: Mask, effect: Effect, noise: Noise) -> Pixels:
    """The window with its faces replaced.

    Args:
        pixels: (h, w, C) uint8 or uint16, the window of the upright photo; not changed.
        mask: lies over just that window.
        effect: what replaces the faces.
        noise: of the photo; every region draws on a stream of its own (`Mask.streams`).

    Returns:
        A new array of the same shape and dtype. On `mask.core` it is what the effect returned, and depends on the
        original in no other way; where `mask.weight` is between 0 and 1 the two are mixed; elsewhere it is the
        original.

    Raises `ConcealmentFailed` if the mask does not fit, or the effect fails or answers with anything but such pixels.
    """
    _check(pixels, mask)
    source = pixels if pixels.flags.c_contiguous else pixels.copy(order="C")
    try:
        painted = effect(source, mask, noise)
    except CloakError:
        raise
    except Exception as error:
        # Whatever an effect trips over, its message may quote pixels: only the kind of error is passed on.
        raise ConcealmentFailed(f"the effect failed ({type(error).__name__})") from None
    if not isinstance(painted, np.ndarray) or painted.shape != pixels.shape or painted.dtype != pixels.dtype:
        raise ConcealmentFailed("the effect returned pixels of another shape or depth")
    out = source.copy()
    cv2.copyTo(painted, mask.core.view(np.uint8), out)
    _blend(out, painted, mask)
    return out


def paint(pixels: Pixels, mask: Mask, effect: Effect, feather: float, noise: Noise) -> Pixels:
    """As `conceal`, with each region under its own effect where it names one, over all the others.

    Args:
        feather: with which the mask was drawn.
    """
    out = conceal(pixels, mask, effect, noise)
    for name in dict.fromkeys(region.effect for region in mask.regions if region.effect):
        own = effect if name == name_of(effect) else make(name)
        which = [i for i, region in enumerate(mask.regions) if region.effect == name]
        regions = [mask.regions[i] for i in which]
        for drawn in draw(regions, Size(mask.width, mask.height), feather=feather, margin=own.margin):
            window = drawn.window()
            part = replace(drawn, streams=tuple(mask.streams[which[i]] for i in drawn.streams))
            if mask.beside is not None:
                known = mask.beside[window]
                part = replace(part, beside=known if part.beside is None else known | part.beside)
            out[window] = conceal(out[window], part, own, noise.child(name))
    return out


def _blend(out: Pixels, painted: Pixels, mask: Mask) -> None:
    """Mixes the two in the feather, in place; only its pixels are looked at."""
    ring = np.flatnonzero((mask.weight > 0) > mask.core)
    channels = out.shape[2]
    pixels = out.reshape(-1, channels)
    # In one dimension: an inner loop over the channels alone would take three times as long.
    old, new = (p.reshape(-1, channels).take(ring, axis=0).reshape(-1) for p in (out, painted))
    share = np.repeat(mask.weight.reshape(-1).take(ring), channels)
    # Two products instead of a difference: exact where the share is 0 or 1, also for 16 bits.
    mixed = np.rint(new * share + old * (1 - share)).reshape(-1, channels)
    for c in range(channels):
        pixels[ring, c] = mixed[:, c]


def _check(pixels: Pixels, mask: Mask) -> None:
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or pixels.dtype not in (np.uint8, np.uint16):
        raise ConcealmentFailed("pixels to conceal must be grey, RGB or CMYK of 8 or 16 bits")
    if mask.core.shape != pixels.shape[:2] or mask.weight.shape != mask.core.shape:
        raise ConcealmentFailed("the mask does not lie over the window")
    if not mask.regions or not 0 <= float(mask.weight.min()) <= float(mask.weight.max()) <= 1:
        raise ConcealmentFailed("the mask has no regions, or no usable weights")
    if len(set(mask.streams)) != len(mask.regions):
        raise ConcealmentFailed("the mask's regions have no streams of noise of their own")
