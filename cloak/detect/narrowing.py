"""Which parts of a plan's looks a second look takes: those that show what was changed since the first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cloak.detect.recipe import STRIDE, Look, Tile
from cloak.geometry import Box, Size

ROOMY = 1.5
"""Times the area of a tile that a window of the second look may have."""

WELL = 48
"""An area that a coarser look shows this large, longer side in pixels of the network's input, needs no finer look: the
face in it is some 32 pixels high there, which the networks see well."""

SURROUNDINGS = 64
"""How far around a changed area a second look sees, in pixels of the network's input: faces beside it are whole."""


def narrowed(looks: Sequence[Look], size: Size, areas: Sequence[Box], whole: int) -> Iterator[Look]:
    """The looks with the tiles that the areas need; those that none needs are left out.

    Looks at pictures of up to `whole` pixels on the long side are taken in full.
    """
    scales = [look.size.width / size.width for look in looks]
    for look, scale in zip(looks, scales, strict=True):
        coarser = max((other for other in scales if other < scale), default=0.0)
        wanted = [area for area in areas if max(area.width, area.height) * coarser < WELL]
        full = max(look.size.width, look.size.height) <= whole
        found = look if full else _touching(look, size, wanted)
        if found.tiles:
            yield found


def _touching(look: Look, size: Size, areas: Sequence[Box]) -> Look:
    """The look, narrowed to the areas and what surrounds them."""
    scale = look.size.width / size.width
    largest = ROOMY * max(_box(tile).area for tile in look.tiles)
    narrowed: list[Tile] = []
    for window in _united([_window(area.scaled(scale), look) for area in areas]):
        # Of a large area its tiles are taken, so that memory stays bounded.
        small = _box(window).area <= largest
        narrowed += [window] if small else [t for t in look.tiles if _box(t).intersection(_box(window)) > 0]
    touching = [tile for tile in look.tiles if any(_box(tile).intersection(area.scaled(scale)) > 0 for area in areas)]
    chosen = min(dict.fromkeys(narrowed), touching, key=lambda tiles: sum(_box(tile).area for tile in tiles))
    return replace(look, tiles=tuple(chosen))


def _window(area: Box, look: Look) -> Tile:
    """The area with its surroundings, on the grid of the tile that held it: the network sees what it saw before."""
    clipped = area.padded(SURROUNDINGS).clipped(look.size)
    if clipped is None:
        return Tile(0, 0, 0, 0)
    tile = max(look.tiles, key=lambda tile: _box(tile).intersection(clipped))
    x, y = _on_grid(int(clipped.x), tile.x), _on_grid(int(clipped.y), tile.y)
    right, bottom = min(math.ceil(clipped.right), look.size.width), min(math.ceil(clipped.bottom), look.size.height)
    return Tile(x, y, right - x, bottom - y)


def _on_grid(at: int, origin: int) -> int:
    """The last place of the network's grid before `at`, inside the picture."""
    return max(origin + (at - origin) // STRIDE * STRIDE, origin % STRIDE)


def _united(windows: list[Tile]) -> list[Tile]:
    """The windows, with those that overlap made one, until none do."""
    united: list[Tile] = []
    for window in windows:
        while touching := [other for other in united if _box(other).intersection(_box(window)) > 0]:
            whole = _box(window)
            for other in touching:
                united.remove(other)
                whole = whole.united(_box(other))
            window = Tile(int(whole.x), int(whole.y), int(whole.width), int(whole.height))
        if window.width and window.height:
            united.append(window)
    return united


def _box(tile: Tile) -> Box:
    return Box(tile.x, tile.y, tile.width, tile.height)
