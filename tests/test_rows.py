import contextlib
import json
from pathlib import Path

import pytest

from cloak import rows
from cloak.contact_sheet import render
from cloak.errors import OutputError, UsageError
from cloak.place import Url
from cloak.report import Totals
from cloak.rows import open_report, open_sheet

ROWS = [{"source": f"{n}.jpg", "status": "concealed", "target": f"{n}.jpg", "faces": n} for n in range(5)]


def write(place, out=Path("public")):
    totals = Totals()
    with open_report(place, out) as report:
        for row in ROWS:
            report.add(row)
            totals.add(row)
        report.end(totals, {"name": "photographer"}, "hash")


def write_any(place):
    """A report, or a contact sheet."""
    if place.suffix != ".html":
        write(place)
        return
    with open_sheet(place, Path("public")) as save:
        save(lambda: render([], Totals(), "photographer"))


def test_a_document_has_totals_and_all_rows(tmp_path):
    write(tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["photos"] == ROWS
    assert found["totals"]["concealed"] == 5


def test_a_document_names_what_was_left_out(tmp_path):
    with open_report(tmp_path / "report.json", None) as report:
        report.leave_out("a.xmp", "a sidecar, never copied")
        report.end(Totals(), {}, "hash")
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["left_out"] == [{"source": "a.xmp", "reason": "a sidecar, never copied"}]


@pytest.mark.parametrize("name", ["report.ndjson", "report.JSONL"])
def test_lines_hold_a_row_each(tmp_path, name):
    write(tmp_path / name)
    assert [json.loads(line) for line in (tmp_path / name).read_text().splitlines()] == ROWS


def test_parquet_is_written_in_groups(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(rows, "GROUP", 2)
    write(tmp_path / "report.parquet")
    found = parquet.ParquetFile(tmp_path / "report.parquet")
    assert found.metadata.num_row_groups == 3
    table = found.read().to_pylist()
    assert [json.loads(row["row"]) for row in table] == ROWS
    assert [row["faces"] for row in table] == [0, 1, 2, 3, 4]
    head = json.loads(found.metadata.metadata[b"cloak"])
    assert head["pipeline_hash"] == "hash"
    assert head["totals"]["faces"] == 10


@pytest.mark.parametrize("name", ["r.json", "r.ndjson", "r.parquet"])
def test_a_report_that_was_not_ended_is_not_there(tmp_path, name):
    write(tmp_path / name)
    earlier = (tmp_path / name).read_bytes()
    with contextlib.suppress(RuntimeError), open_report(tmp_path / name, None) as report:
        report.add(ROWS[0])
        raise RuntimeError
    assert (tmp_path / name).read_bytes() == earlier
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["r.json", "r.ndjson", "r.parquet", "sheet.html"])
def test_only_a_report_of_an_earlier_run_is_replaced(tmp_path, name):
    place = tmp_path / name
    write_any(place)
    place.chmod(0o644)
    write_any(place)
    assert place.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [name]
    for other in (b"\xff\xd8\xff\xe0 an original", b"words"):
        place.write_bytes(other)
        with pytest.raises(UsageError, match="already"):
            write_any(place)
        assert place.read_bytes() == other
    place.unlink()
    place.symlink_to("/dev/full")
    with pytest.raises(UsageError, match="already"):
        write_any(place)


def test_a_table_or_lines_of_somebody_elses_are_no_report(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"said": ['{"cloak": "a word"}']}), tmp_path / "r.parquet")
    (tmp_path / "r.ndjson").write_text('{"source": "AFP", "status": "printed", "title": "a story"}\n')
    for path in sorted(tmp_path.iterdir()):
        before = path.read_bytes()
        with pytest.raises(UsageError, match="no report"):
            write(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["r.ndjson", "r.parquet"])
def test_a_report_of_any_length_is_known_for_one(tmp_path, name):
    if name == "r.parquet":
        pytest.importorskip("pyarrow.parquet")
    for _ in range(2):
        with open_report(tmp_path / name, None) as report:
            for n in range(3 * rows.GROUP):
                report.add({"source": '"' * 5000 + f"{n}.jpg", "status": "no-face"})
            report.end(Totals(), {"name": "photographer"}, "hash")


@pytest.mark.parametrize("name", ["r.json", "sheet.html"])
def test_no_link_that_somebody_laid_is_followed(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("of somebody")
    for suffix in ("", ".part"):
        (tmp_path / (name + suffix)).symlink_to(victim)
    victim.write_text("")  # as an earlier report it would be replaced
    write_any(tmp_path / name)
    assert victim.read_text() == ""
    assert not (tmp_path / name).is_symlink()


def test_a_report_is_never_published(tmp_path):
    with pytest.raises(UsageError, match="published"), open_report(tmp_path / "public/r.json", tmp_path / "public"):
        pass
    public = Url("s3://public", "shoots")
    with pytest.raises(UsageError, match="published"), open_report(public / "r.json", public):
        pass


def test_a_sheet_stands_or_is_told_before_the_report_says_how_the_run_ended(tmp_path):
    with open_sheet(tmp_path / "sheet.html", None) as save:
        save(lambda: "<!doctype html>")
        assert [path.name for path in tmp_path.iterdir()] == ["sheet.html"]
    with open_sheet(tmp_path / "other.html", None) as save:
        (tmp_path / "other.html").mkdir()
        with pytest.raises(OutputError, match="the contact sheet cannot be written"):
            save(lambda: "<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.html", "sheet.html"]


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path):
    with pytest.raises(UsageError, match="report"), open_report(tmp_path / "nowhere/r.json", None):
        pass


@pytest.mark.parametrize("name", ["r.json", "r.ndjson", "r.parquet"])
def test_a_report_in_a_store_is_the_same(s3, monkeypatch, tmp_path, name):
    from cloak.bucket import connect

    for key, value in s3.environment().items():
        if key.startswith("AWS_"):
            monkeypatch.setenv(key, value)
    connect.cache_clear()
    bucket = s3.bucket(f"reports-{name.replace('.', '-')}")
    write(Url(f"s3://{bucket}", f"x/{name}"))
    write(tmp_path / name)
    assert s3.objects(bucket) == {f"x/{name}": (tmp_path / name).read_bytes()}
    with pytest.raises(OutputError), open_report(Url("s3://nobody-has-this", name), None) as report:
        report.end(Totals(), {}, "")
    with contextlib.suppress(RuntimeError), open_report(Url(f"s3://{bucket}", f"y/{name}"), None):
        raise RuntimeError
    write(Url(f"s3://{bucket}", f"x/{name}"))  # an earlier report is replaced, and nothing else
    s3.put(bucket, f"originals/{name}", b"\xff\xd8\xff\xe0 an original")
    with pytest.raises(UsageError, match="no report of an earlier run"):
        write(Url(f"s3://{bucket}", f"originals/{name}"))
    assert s3.get(bucket, f"originals/{name}") == b"\xff\xd8\xff\xe0 an original"
    s3.client.delete_object(Bucket=bucket, Key=f"originals/{name}")
    s3.open_to_all(bucket)
    for place in ("x", "z"):
        with (
            pytest.raises(UsageError, match="anybody could read") as error,
            open_report(Url(f"s3://{bucket}", f"{place}/{name}"), None),
        ):
            pass
        assert "--report" in error.value.next_step
    assert s3.objects(bucket) == {f"x/{name}": (tmp_path / name).read_bytes()}
    connect.cache_clear()
