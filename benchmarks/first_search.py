"""What the search of a 24-megapixel JPEG for faces costs, decoding included, on one thread.

    python -m benchmarks.first_search

Prints the CPU milliseconds a photo, median of eight (those of benchmarks/throughput.py), in each of two rounds: with
the default recipe, and where only faces of 48 pixels and more are asked for.
"""

import statistics
import time

import cv2

from benchmarks.throughput import photos
from cloak.detect import find
from cloak.detect.recipe import Recipe, named
from cloak.photo import open_photo


def cost(data: bytes, recipe: Recipe) -> float:
    start = time.process_time()
    opened = open_photo(data)
    find(opened.preview, opened.size, recipe)
    return (time.process_time() - start) * 1e3


def main() -> None:
    cv2.setNumThreads(1)
    files = [file.read_bytes() for file in sorted(photos(24, 8).glob("*.jpg"))]
    recipes = {"default": named("balanced"), "min_face = 48": named("balanced", min_face=48)}
    cost(files[0], recipes["default"])  # loads the models
    for _ in range(2):
        for name, recipe in recipes.items():
            print(f"{name}: {statistics.median(cost(data, recipe) for data in files):.0f} ms")


if __name__ == "__main__":
    main()
