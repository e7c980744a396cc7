"""The proof at scale, with real processes: a bucket, Ray with two actors, and kills in the middle."""

import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import FACES
from tests.faults.conftest import environment
from tests.faults.test_detectors import ANSWERS, DETECTOR
from tests.s3 import Faults

pytestmark = pytest.mark.slow

CLOAK = [sys.executable, "-m", "cloak.cli"]
SETTINGS = ["--recall", "fast", "--noise-key", "k"]
NUMBERS = itertools.count()


@pytest.fixture
def folder():
    """A short name for temporary files: Ray's sockets lie there."""
    made = Path(tempfile.mkdtemp(prefix="t"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def buckets(s3):
    number = next(NUMBERS)
    return s3.bucket(f"originals-{number}"), s3.bucket(f"public-{number}")


def photo(number):
    """A small portrait, no two alike."""
    image = Image.open(FACES / "astronaut.jpg").convert("RGB")
    image.thumbnail((112, 112))
    pixels = np.asarray(image).copy()
    pixels[-1, : number % 100] = number % 251
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=70 + number % 25)
    return buffer.getvalue()


def fill(s3, bucket, count):
    """`count` photos, 5 of them broken; the first three have one name in three prefixes."""
    good, broken = [], []
    for number in range(count):
        name = f"day{number}/same.jpg" if number < 3 else f"day{number % 3}/{number:04}.jpg"
        data = photo(number)
        if number in range(50, 55):
            data = data[: len(data) // 2]
            broken.append(name)
        else:
            good.append(name)
        s3.put(bucket, f"shoots/{name}", data)
    return sorted(good), sorted(broken)


def start(s3, arguments, folder, faults=()):
    variables = {**s3.environment(), "TMPDIR": str(folder), "CLOAK_STORE_TIMEOUT": "20"}
    variables["RAY_gcs_rpc_server_reconnect_timeout_s"] = "10"  # instead of 60: until Ray's own processes give up
    variables |= {name: environment(*faults)[name] for name in ("PYTHONPATH", "CLOAK_FAULTS")}
    variables.pop("RAY_USAGE_STATS_ENABLED", None)
    return subprocess.Popen(
        [*CLOAK, "run", *map(str, arguments), *SETTINGS],
        env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process, *codes):
    out, words = process.communicate(timeout=900)
    assert process.returncode in codes, (process.returncode, out, words)
    assert "Traceback" not in words
    return out, words


def descendants(pid):
    """pid -> command line of all processes below one."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as line:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append((int(name), line.read().replace("\0", " ")))
            except OSError:
                continue
    found, stack = {}, [pid]
    while stack:
        for child, line in children.get(stack.pop(), ()):
            found[child] = line
            stack.append(child)
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=400, told=lambda: ""):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen in time: {told()}"
        time.sleep(0.2)


def published(s3, bucket):
    return [key for key in s3.keys(bucket) if key.startswith("shoots/")]


def test_killed_actors_and_drivers_lose_nothing_and_the_bytes_are_those_of_a_local_run(s3, buckets, folder, tmp_path):
    originals, public = buckets
    good, broken = fill(s3, originals, 150)
    where = [f"s3://{originals}/shoots/", "--out", f"s3://{public}/shoots/"]

    driver = start(s3, [*where, "--engine", "ray", "-j", "2"], folder)
    wait_for(lambda: len(published(s3, public)) >= 20 or driver.poll() is not None)
    family = descendants(driver.pid)
    actors = [pid for pid, line in family.items() if line.startswith("ray::") and "MapWorker" in line]
    assert len(actors) == 2, family
    workers = list(descendants(actors[0]))
    os.kill(actors[0], signal.SIGKILL)
    before = len(published(s3, public))
    wait_for(lambda: len(published(s3, public)) >= before + 60 or driver.poll() is not None)
    assert driver.poll() is None
    wait_for(lambda: not any(map(alive, workers)), 30)  # the worker in the dead actor ended with it
    fresh = [line for line in descendants(driver.pid).values() if line.startswith("ray::") and "MapWorker" in line]
    assert len(fresh) == 2  # and another actor took its place

    family = descendants(driver.pid)
    driver.kill()
    driver.communicate()
    wait_for(lambda: not any(map(alive, family)), 120, lambda: {pid: family[pid] for pid in family if alive(pid)})
    halfway = s3.objects(public, "shoots/")
    assert 80 <= len(halfway) < len(good)

    report = tmp_path / "report.ndjson"
    again = start(s3, [*where, "--engine", "ray", "-j", "2", "--report", report], folder)
    end(again, 1)
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert len(rows) == 150
    assert len({row["source"] for row in rows}) == 150
    prefix = f"s3://{originals}/shoots/"
    assert sorted(row["source"].removeprefix(prefix) for row in rows if row["status"] == "withheld") == broken
    assert 20 <= sum(bool(row.get("resumed")) for row in rows) < len(good)

    final = s3.objects(public, "shoots/")
    assert sorted(final) == [f"shoots/{name}" for name in good]
    assert {key: final[key] for key in halfway} == halfway
    ours = {key for key in s3.keys(public) if key.startswith("shoots.cloak/")}
    assert set(s3.keys(public)) == set(final) | ours
    assert all(key.endswith((".parquet", "/meta.json")) for key in ours)
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=public)
    assert [path for path in folder.iterdir() if path.name.startswith("cloak-ray-")] != []  # of the killed driver only
    assert len(list(folder.glob("cloak-ray-*"))) == 1

    out = tmp_path / "public"
    end(start(s3, [f"s3://{originals}/shoots/", "--out", out, "--report", tmp_path / "local.ndjson"], folder), 1)
    local = {f"shoots/{path.relative_to(out)}": path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert local == final
    by_engine = [
        {row["source"]: (row["status"], row.get("target"), row.get("faces"), row.get("reason")) for row in found}
        for found in (rows, map(json.loads, (tmp_path / "local.ndjson").read_text().splitlines()))
    ]
    assert by_engine[0] == by_engine[1]

    written = {found["Key"]: found["LastModified"] for found in listing(s3, public)}
    out, _ = end(start(s3, where, folder), 1)  # the local pool goes on with the ledger that Ray wrote
    assert f"of these{len(good):>14}" in out
    assert {k: v for k, v in written.items() if k in final} == {
        found["Key"]: found["LastModified"] for found in listing(s3, public) if found["Key"] in final
    }


def listing(s3, bucket):
    pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [found for page in pages for found in page["Contents"]]


def test_detectors_that_fail_in_an_actor_withhold_their_photos_and_no_other(s3, buckets, folder, tmp_path):
    originals, public = buckets
    for number, name in enumerate(("fine", "outside", "raises", "kills", "hangs", *ANSWERS)):
        s3.put(originals, f"shoots/{name}.jpg", photo(number))
    faults = [{"at": DETECTOR, "do": f"answer:{answer}", "photo": f"{answer}.jpg"} for answer in ANSWERS]
    faults += [
        {"at": DETECTOR, "do": "add:outside", "photo": "outside.jpg"},
        {"at": DETECTOR, "do": "raise:ValueError:words of a photo", "photo": "raises.jpg"},
        {"at": DETECTOR, "do": "kill", "photo": "kills.jpg"},
        {"at": DETECTOR, "do": "sleep:600", "photo": "hangs.jpg"},
    ]
    report = tmp_path / "report.ndjson"
    where = [f"s3://{originals}/shoots/", "--out", f"s3://{public}/shoots/", "--engine", "ray", "-j", "2"]
    _, words = end(start(s3, [*where, "--deadline", "20", "--report", report], folder, faults), 1)
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    reasons = {Path(row["source"]).stem: row.get("reason", "") for row in rows}
    failed = dict.fromkeys((*ANSWERS, "raises"), "detection-failed")
    assert reasons == failed | {"fine": "", "outside": "", "kills": "concealment-failed", "hangs": "timed-out"}
    assert len(rows) == len(reasons)
    assert sorted(published(s3, public)) == ["shoots/fine.jpg", "shoots/outside.jpg"]
    assert "words of a photo" not in words + report.read_text()

    end(start(s3, where, folder), 0)  # once the detector works, a run completes
    assert len(published(s3, public)) == len(rows)


def test_a_run_survives_throttling_timeouts_and_lost_connections(s3, buckets, tmp_path):
    originals, public = buckets
    good, _ = fill(s3, originals, 20)
    faults = Faults(
        s3,
        [
            ("PUT", "same.jpg", "slow-down", 4),
            ("PUT", "0007", "cut", 2),
            ("PUT", "0011", "late", 1),
            ("PUT", "0013", "timeout", 1),
            ("PUT", "parts/", "slow-down", 2),
            ("GET", "list-type", "slow-down", 2),
            ("GET", "0009", "cut", 1),
        ],
    )
    process = subprocess.Popen(
        [*CLOAK, "run", f"s3://{originals}/shoots", "--out", f"s3://{public}/shoots", *SETTINGS],
        env=s3.environment(faults.endpoint), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end(process, 0, 4)
    faults.close()
    assert sum(faults.seen.values()) >= 10
    assert sorted(published(s3, public)) == [f"shoots/{name}" for name in good]


def test_nobody_is_told_and_nothing_is_left_on_the_disk(s3, buckets, folder, tmp_path):
    originals, public = buckets
    fill(s3, originals, 4)
    home = tmp_path / "home"
    home.mkdir()
    variables = {**s3.environment(), "TMPDIR": str(folder), "HOME": str(home)}
    trace = tmp_path / "trace"
    # With a filter in the kernel, other calls than these are not slowed down.
    calls = ["-e", "trace=bind,connect,sendto,sendmsg,sendmmsg", "-e", "signal=none"]
    command = ["strace", "-f", "--seccomp-bpf", "-qq", *calls, "-o", str(trace), *CLOAK, "run"]
    command += [f"s3://{originals}/shoots", "--out", f"s3://{public}/shoots", "--engine", "ray", "-j", "1", *SETTINGS]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=900)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine does not let us trace")
    assert done.returncode in (0, 4), done.stderr
    assert list(folder.iterdir()) == []
    assert [path for path in home.rglob("*") if path.is_file()] == []
    lines = [line for line in trace.read_text().splitlines() if "AF_INET" in line]
    assert any('"127.0.0.1"' in line for line in lines)  # Ray's own: the trace works
    # Ray looks at no other address of this machine, no name server, and not whether it runs in a cloud.
    near = re.compile(r'"(127\.0\.0\.1|0\.0\.0\.0|(::ffff:)?127\.0\.0\.1|::1|::)"')
    assert [line for line in lines if not near.search(line)] == []


def test_without_ray_the_error_names_the_extra(tmp_path, samples):
    code = "import sys; sys.modules['ray'] = None; from cloak.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "run", str(samples / "located.jpg"), "--out", str(tmp_path / "public")]
    done = subprocess.run([*command, "--engine", "ray"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "cloak-images[ray]" in done.stderr


def test_a_cluster_elsewhere_does_not_see_folders(tmp_path, samples):
    command = [*CLOAK, "run", str(samples), "--out", "s3://public/x", "--engine", "ray", "--address", "auto"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "do not see" in done.stderr
