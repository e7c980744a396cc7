"""Rows of a ledger, read again."""

import msgspec
import pytest

from cloak import anonymize, report
from cloak.errors import LedgerDamaged
from cloak.metadata.fields import KEEP_NAMES
from cloak.metadata.write import FIELD_CARRIERS
from tests.conftest import FACES


@pytest.fixture(scope="module")
def row():
    result = anonymize((FACES / "astronaut.jpg").read_bytes(), "cms", key=b"row")
    return msgspec.to_builtins(result.report)


def test_a_row_tells_what_was_concealed(row):
    regions, revealed, kept = report.remembered(row)
    assert [len(frame) for frame in regions] == [len(row["detections"][0])] != [0]
    assert revealed == [[]]
    assert kept == frozenset(row["kept"])


def test_kept_fields_are_remembered_by_names_that_verify_knows(row):
    kept = report.remembered({**row, "kept": list(FIELD_CARRIERS)})[2]
    assert kept <= set(KEEP_NAMES)
    assert {"datetime", "licensor"} <= kept


BROKEN = {
    "detections": ([[{"box": {}}]], 7, [[None]]),
    "cover": (None, {"shape": "hjad"}),
    "kept": (None, [1]),
    "areas": (
        [[{"shape": {"x": 1}}]],
        3,
        [[{"shape": {"cx": 5, "cy": 5, "rx": 9, "ry": 1e47, "angle": 0}}]],
        [[{"shape": {"x": 1, "y": 1, "width": 9, "height": 9}, "angle": float("nan")}]],
    ),
    "resampling": ({"window": 1}, [1]),
    "protections": ([[{"face": "x"}]], 5),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_row_that_cloak_never_wrote_is_a_damaged_ledger(row, name):
    for value in BROKEN[name]:
        with pytest.raises(LedgerDamaged):
            report.remembered({**row, name: value})
    if name in {"detections", "cover", "kept"}:
        with pytest.raises(LedgerDamaged):
            report.remembered({key: value for key, value in row.items() if key != name})
