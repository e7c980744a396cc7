"""Builds the native JPEG modules; everything else stands in pyproject.toml.

They are optional: without Cython or a compiler the installation goes on, and cloak re-encodes JPEGs instead of editing
them in place. CLOAK_REQUIRE_NATIVE=1 makes a failure to build them an error, as published wheels need it.
"""

import os
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

MODULES = ("_loud", "_stream", "_splice", "_dct", "_progressive", "_check")
REQUIRED = os.environ.get("CLOAK_REQUIRE_NATIVE") == "1"


def extensions() -> list[Extension]:
    try:
        from Cython.Build import cythonize
    except ImportError:
        if REQUIRED:
            raise
        return []
    # Fused operations would round otherwise on some processors; the same photo shall give the same bytes on all.
    # Symbols for debuggers would name the folder in which the wheel was built, so that no two wheels were the same.
    optimise = ["/O2", "/fp:precise"] if sys.platform == "win32" else ["-O3", "-ffp-contract=off", "-g0"]
    modules = [
        Extension(
            f"cloak.photo.{name}",
            [f"cloak/photo/{name}.pyx"],
            extra_compile_args=optimise,
            optional=not REQUIRED,
        )
        for name in MODULES
    ]
    return list(cythonize(modules, quiet=True))


class BuildOrGoOn(build_ext):
    """Setuptools' `optional` lets some failures of compilers through, a missing one among them."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception as error:
            if REQUIRED:
                raise
            self.warn(f"{ext.name} is left out, JPEGs will be re-encoded: {error}")


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildOrGoOn})
