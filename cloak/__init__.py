"""Make photos safe to publish: conceal every face, strip every piece of metadata, and prove both.

>>> import cloak
>>> result = cloak.anonymize(data, pipeline="newsroom")  # doctest: +SKIP
>>> result.data, result.report.faces  # doctest: +SKIP
"""

import os
from typing import TYPE_CHECKING

# onnxruntime from 1.29 on reports to its maker, with a device identifier kept on the disk, unless told otherwise before
# it is loaded (its pull requests 27379 and 29843 name these variables). cloak talks to nobody: this is not a setting.
os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"

if TYPE_CHECKING:
    from cloak.anonymizer import anonymize
    from cloak.consent import People, enrol
    from cloak.decisions import Change, Decisions
    from cloak.errors import CloakError, Withheld
    from cloak.geometry import Box, Ellipse, Region, Size
    from cloak.pipeline import Cover, Pipeline
    from cloak.result import Carrier, Report, Result, Status

__all__ = [
    "Box",
    "Carrier",
    "Change",
    "CloakError",
    "Cover",
    "Decisions",
    "Ellipse",
    "People",
    "Pipeline",
    "Region",
    "Report",
    "Result",
    "Size",
    "Status",
    "Withheld",
    "anonymize",
    "enrol",
]

_HOMES = {
    "anonymizer": ("anonymize",),
    "decisions": ("Change", "Decisions"),
    "consent": ("People", "enrol"),
    "errors": ("CloakError", "Withheld"),
    "geometry": ("Box", "Ellipse", "Region", "Size"),
    "pipeline": ("Cover", "Pipeline"),
    "result": ("Carrier", "Report", "Result", "Status"),
}


def __getattr__(name: str) -> object:
    # OpenCV and onnxruntime take a second to import: only those who use the library wait for them, not `cloak --help`.
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"cloak.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'cloak' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
