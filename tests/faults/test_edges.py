"""The same faults behind the other doors: the service, the hot folder, a bucket."""

import io
import itertools
import json
import signal
import subprocess
import time

import pyarrow.parquet

from tests.faults.conftest import CLOAK, assert_no_secrets, below, environment
from tests.faults.test_detectors import ANSWERS, DETECTOR
from tests.faults.test_side_leaks import planted
from tests.service.conftest import TOKEN, service
from tests.service.test_anonymize import bare_faces, carriers

NUMBERS = itertools.count()


def test_the_service_answers_every_fault_with_its_reason_and_goes_on(tmp_path, jpeg):
    failed = (422, "detection-failed")
    faults = {
        **{answer: ({"at": DETECTOR, "do": f"answer:{answer}"}, *failed) for answer in ANSWERS},
        "ten thousand": ({"at": DETECTOR, "do": "add:ten thousand"}, *failed),
        "raises": ({"at": DETECTOR, "do": "raise:ValueError:words of a photo"}, *failed),
        "outside": ({"at": DETECTOR, "do": "add:outside"}, 200, ""),
        "bug": ({"at": "cloak.anonymizer:_paint", "do": "raise:ValueError:words of a photo"}, 500, "error"),
        "killed": ({"at": "cloak.anonymizer:_search", "do": "kill"}, 422, "concealment-failed"),
        "killed once": (
            {"at": "cloak.anonymizer:_paint", "do": "kill", "times": 1, "mark": str(tmp_path / "mark")}, 200, "",
        ),
        "hangs": ({"at": DETECTOR, "do": "sleep:600"}, 504, "timed-out"),
    }  # fmt: skip
    armed = [{**fault, "photo": f"fault: {name}."} for name, (fault, _, _) in faults.items()]
    secret = {"CLOAK_NOISE_KEY": "the-noise-key-of-the-tests"}
    with service("--workers", "1", "--deadline", "30", environment=environment(*armed, **secret)) as running:
        said = []
        # The server that workers are forked from, and they: not the service itself, whose environment the system keeps.
        assert_no_secrets(running.family(), TOKEN, *secret.values())
        for name, (_, status, reason) in {**faults, "none": (None, 200, "")}.items():
            answer = running.http.post(
                "/v1/anonymize?recall=fast&effect=fill", content=jpeg(comment=f"fault: {name}.".encode())
            )
            assert answer.status_code == status, (name, answer.text)
            if status == 200:
                assert not bare_faces(answer.content)
            else:
                assert answer.json()["reason"] == reason
                said.append(answer.text)
        running.process.send_signal(signal.SIGTERM)
        said.append(running.process.communicate(timeout=60)[1])
    assert "words of a photo" not in "".join(said)
    assert "Traceback" not in said[-1]


def test_a_worker_of_the_service_that_loses_memory_is_replaced_and_no_photo_refused_for_it(jpeg):
    losing = {"at": "cloak.anonymizer:_search", "do": "lose:150", "photo": "lossy"}
    options = ("--workers", "1", "--max-memory", "900")
    with service(*options, environment=environment(losing)) as running:
        for _ in range(6):
            answer = running.http.post("/v1/anonymize?recall=fast&effect=fill", content=jpeg(comment=b"lossy"))
            assert answer.status_code == 200, answer.text
        metrics = running.http.get("/metrics").text
    assert 'cloak_workers_replaced_total{why="worn"}' in metrics
    assert 'why="swollen"' not in metrics


def test_a_hot_folder_survives_faults_and_ends_when_its_output_is_lost(tmp_path, jpeg):
    inbox, out = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()

    def once(name, at, what="kill"):
        return {"at": at, "do": what, "photo": f"{name}.jpg", "times": 1, "mark": str(tmp_path / f"mark-{name}")}

    faults = [
        *({"at": DETECTOR, "do": f"answer:{answer}", "photo": f"{answer}.jpg"} for answer in ANSWERS),
        {"at": DETECTOR, "do": "add:ten thousand", "photo": "ten thousand.jpg"},
        {"at": DETECTOR, "do": "raise:ValueError:words of a photo", "photo": "raises.jpg"},
        {"at": DETECTOR, "do": "add:outside", "photo": "outside.jpg"},
        {"at": DETECTOR, "do": "sleep:600", "photo": "hangs.jpg"},
        {"at": "os:fsync", "do": "raise:ENOSPC", "photo": "full.jpg"},
        {"at": "os:replace", "do": "raise:EACCES", "photo": "forbidden.jpg"},
        once("killed before it is read", "cloak.work:read"),
        once("killed before its row", "cloak.ledger:Ledger.record"),
        once("killed before its name", "os:replace"),
        once("gone", "os:fsync", f"shell:rm -r {out}"),
        {"at": "cloak.ledger:Ledger.record", "do": f"shell:rm -r {out}.cloak", "photo": "last.jpg"},
    ]
    unwritten = {"full": "No space left on device", "forbidden": "Permission denied"}
    refused = {*ANSWERS, "ten thousand", "raises", "hangs", *unwritten}
    fine = {"outside", *(f"killed before {step}" for step in ("it is read", "its row", "its name"))}
    (inbox / "gone.jpg").write_bytes(jpeg(comment=b"gone"))
    options = ["--settle", "0.1", "--recall", "fast", "--effect", "fill", "-j", "1", "--deadline", "15"]
    secret = "the-noise-key-of-the-tests"
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [*CLOAK, "watch", str(inbox), "--out", str(out), *options],
            env=environment(*faults, CLOAK_NOISE_KEY=secret), stdout=log, stderr=log,
        )  # fmt: skip

        def told(name):
            return f"{name}.jpg" in (tmp_path / "log").read_text()

        try:
            # A photo whose folder went away under it is tried again by itself.
            _wait((out / "gone.jpg").exists, process)
            for name in (*refused, *fine):
                (inbox / f"{name}.jpg").write_bytes(jpeg(comment=name.encode()))
            _wait(lambda: all(map(told, refused | fine)), process)
            assert {path.stem for path in out.glob("*.jpg")} == fine | {"gone"}
            assert_no_secrets(below(process.pid), secret)
            (inbox / "last.jpg").write_bytes(jpeg(comment=b"last"))
            assert process.wait(120) == 2
        finally:
            process.kill()
            process.wait()
    log = (tmp_path / "log").read_text()
    withheld = {line.partition(": ")[0].rpartition("/")[2]: line for line in log.splitlines() if "withheld" in line}
    assert set(withheld) == {f"{name}.jpg" for name in refused}
    for name, words in unwritten.items():
        assert f"it could not be stored: {words}" in withheld[f"{name}.jpg"]
    assert len(list(tmp_path.glob("mark-*"))) == 4  # each was killed
    assert "ledger was moved or removed" in log
    assert "Traceback" not in log
    assert "words of a photo" not in log
    assert list(out.rglob(".cloak-*")) == []
    for path in out.glob("*.jpg"):
        assert not bare_faces(path.read_bytes())
        assert not carriers(path.read_bytes())


def _wait(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_run_into_a_bucket_that_is_killed_between_put_and_ledger_completes_once(s3, tmp_path, jpeg, portrait):
    name = s3.bucket(f"faults-{next(NUMBERS)}")
    given, secrets = planted(portrait)
    originals = [jpeg(comment=b"0"), jpeg(comment=b"1"), given["jane.jpg"]]
    for number, original in enumerate(originals):
        s3.put(name, f"shoot/{number}.jpg", original)
    run = [*CLOAK, "run", f"s3://{name}/shoot", "--out", f"s3://{name}/public"]
    run += ["--recall", "fast", "--effect", "fill", "--keep", "icc", "-j", "1"]
    store = {k: v for k, v in s3.environment().items() if k.startswith("AWS_") or k.startswith("CLOAK_")}

    def go(*faults):
        report = ["--report", tmp_path / "report.json"]
        return subprocess.run(
            [*map(str, [*run, *report])], env=environment(*faults, **store), capture_output=True, text=True,
            timeout=240, start_new_session=True,
        )  # fmt: skip

    # Killed when two objects stand, and no part of the ledger does.
    assert go({"at": "cloak.bucket:Bucket.publish", "do": "kill run", "photo": "2.jpg"}).returncode == -9
    keys = s3.keys(name)
    assert {"public/0.jpg", "public/1.jpg"} <= set(keys)
    assert not [key for key in keys if "parts" in key]
    # A worker killed while it puts: tried again. What no record tells of is cloak's own by its digest, and done again.
    once = {"at": "cloak.bucket:Bucket.publish", "when": "after", "do": "kill", "photo": "2.jpg", "times": 1}
    done = go({**once, "mark": str(tmp_path / "mark")})
    assert done.returncode == 0, done.stderr
    third = go()
    assert third.returncode == 0, third.stderr
    rows = json.loads((tmp_path / "report.json").read_text())["photos"]
    assert [row["resumed"] for row in rows] == [True] * 3
    for number, original in enumerate(originals):
        data = s3.get(name, f"public/{number}.jpg")
        assert not bare_faces(data)
        assert not [secret[:40] for secret in secrets if secret in data]
        assert s3.get(name, f"shoot/{number}.jpg") == original
        assert number == 2 or not carriers(data)  # one has a size that allows no lossless turn
    # What is written beside them tells nothing of them. (A part is compressed.)
    records, ledger = [], b""
    for key in s3.keys(name, "public.cloak/"):
        data = s3.get(name, key)
        ledger += data
        if "/parts/" in key:
            records += pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    ledger += "\n".join(str(value) for record in records for value in record.values()).encode()
    assert {record["name"] for record in records} == {"0.jpg", "1.jpg", "2.jpg"}
    assert [secret[:40] for secret in secrets if secret in ledger] == []
