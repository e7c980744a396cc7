"""Whole runs between buckets and folders on this machine's cores; tests/test_cluster.py has those of Ray."""

import io
import itertools
import subprocess
import sys

import pytest

CLOAK = [sys.executable, "-m", "cloak.cli"]
NUMBERS = itertools.count()


@pytest.fixture
def bucket(s3, jpeg):
    """A bucket with three photos below `shoots/`."""
    name = s3.bucket(f"runs-{next(NUMBERS)}")
    for number, key in enumerate(("a.jpg", "day 2/a.jpg", "ü%41.jpg")):
        s3.put(name, f"shoots/{key}", jpeg(quality=80 + number))
    return name


@pytest.fixture
def run(s3):
    def call(*arguments, code=(0, 4)):
        command = [*CLOAK, "run", *map(str, arguments), "--recall", "fast", "-j", "1"]
        done = subprocess.run(command, env=s3.environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode in code, (done.returncode, done.stdout, done.stderr)
        return done

    return call


def test_a_run_between_prefixes_does_what_is_new_or_changed_and_only_that(s3, bucket, run, jpeg):
    where = [f"s3://{bucket}/shoots/", "--out", f"s3://{bucket}/public", "--noise-key", "k"]
    run(*where)
    first = s3.objects(bucket, "public/")
    assert sorted(first) == ["public/a.jpg", "public/day 2/a.jpg", "public/ü%41.jpg"]
    for key in first:
        assert s3.objects(bucket)[key.replace("public", "shoots")] not in first.values()

    s3.put(bucket, "public/a.jpg", b"damaged, or somebody's")
    s3.client.delete_object(Bucket=bucket, Key="public/ü%41.jpg")
    s3.put(bucket, "shoots/new.jpg", jpeg(quality=50))
    done = run(*where, code=(1,))
    assert "of these             1" in done.stdout
    assert "did not write" in done.stderr
    s3.client.delete_object(Bucket=bucket, Key="public/a.jpg")
    done = run(*where)
    assert "of these             3" in done.stdout
    assert {key: data for key, data in s3.objects(bucket, "public/").items() if key in first} == first
    done = run(*where, "--effect", "fill")
    assert "of these" not in done.stdout


def test_an_object_that_cloak_did_not_write_is_not_replaced(s3, bucket, run):
    s3.put(bucket, "public/a.jpg", b"not ours")
    where = [f"s3://{bucket}/shoots", "--out", f"s3://{bucket}/public"]
    done = run(*where, code=(1,))
    assert "did not write" in done.stderr
    assert s3.get(bucket, "public/a.jpg") == b"not ours"
    run(*where, "--force")
    assert s3.get(bucket, "public/a.jpg") != b"not ours"


def test_a_photo_that_stands_there_without_a_row_is_done_again(s3, bucket, run):
    where = [f"s3://{bucket}/shoots", "--out", f"s3://{bucket}/public", "--noise-key", "k"]
    run(*where)
    first = s3.objects(bucket, "public/")
    for key in s3.keys(bucket, "public.cloak/parts/"):  # as after a kill between the photo and its row
        s3.client.delete_object(Bucket=bucket, Key=key)
    done = run(*where)
    assert "of these" not in done.stdout
    assert s3.objects(bucket, "public/") == first


def test_a_dry_run_writes_nothing_to_the_store(s3, bucket, run):
    before = s3.objects(bucket)
    run(f"s3://{bucket}/shoots", "--out", f"s3://{bucket}", "--ledger", f"s3://{bucket}/l", "--dry-run", code=(2,))
    run(f"s3://{bucket}/shoots", "--out", f"s3://{bucket}/public", "--dry-run")
    assert s3.objects(bucket) == before


def test_folders_and_buckets_give_the_same_bytes(s3, bucket, run, tmp_path):
    key = ["--noise-key", "k"]
    run(f"s3://{bucket}/shoots", "--out", tmp_path / "down", *key)
    for path in ("a.jpg", "day 2/a.jpg", "ü%41.jpg"):
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_bytes(s3.get(bucket, f"shoots/{path}"))
    run(tmp_path / "in", "--out", f"s3://{bucket}/up", *key)
    down = {str(p.relative_to(tmp_path / "down")): p.read_bytes() for p in (tmp_path / "down").rglob("*.jpg")}
    up = {key.removeprefix("up/"): data for key, data in s3.objects(bucket, "up/").items()}
    assert down == up
    assert len(down) == 3


def test_two_prefixes_of_one_name_do_not_collide(s3, bucket, run, jpeg):
    s3.put(bucket, "other/a.jpg", jpeg(quality=60))
    run(f"s3://{bucket}/shoots", f"s3://{bucket}/other", "--out", f"s3://{bucket}/public")
    assert "public/a-2.jpg" in s3.keys(bucket)


def test_no_credential_is_in_the_ledger_the_report_or_the_words(s3, bucket, run, tmp_path):
    report = tmp_path / "r.json"
    s3.put(bucket, "shoots/broken.jpg", b"\xff\xd8\xff\xe0")
    done = run(f"s3://{bucket}/shoots", "--out", f"s3://{bucket}/public", "--report", report, "--debug", code=(1,))
    told = [done.stdout.encode(), done.stderr.encode(), report.read_bytes()]
    told += s3.objects(bucket, "public.cloak/").values()
    for text in told:
        assert b"key-of-tests" not in text
        assert b"secret-of-tests" not in text


@pytest.mark.parametrize("options", [["--preserve-times"], ["--address", "auto"]])
def test_what_does_not_go_together_is_refused(bucket, run, options):
    run(f"s3://{bucket}/shoots", "--out", f"s3://{bucket}/public", *options, code=(2,))


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (["-p", "newsroom"], "review"),
        (["-p", "cms"], "--names keep"),
        (["--contact-sheet", "sheet.html"], "--contact-sheet"),
        (["--decisions", "."], "--decisions"),
        (["--in-place"], "--in-place"),
    ],
)
def test_what_works_between_folders_only_is_refused_with_the_cure(s3, bucket, run, options, cure):
    before = s3.objects(bucket)
    out = [] if options == ["--in-place"] else ["--out", f"s3://{bucket}/public"]
    done = run(f"s3://{bucket}/shoots", *out, *options, code=(2,))
    assert cure in done.stderr
    assert "Traceback" not in done.stderr
    assert s3.objects(bucket) == before


def test_what_is_held_back_now_is_withdrawn_from_the_store(s3, run, landscape):
    name = s3.bucket(f"runs-{next(NUMBERS)}")
    s3.put(name, "shoots/a.jpg", landscape)
    where = [f"s3://{name}/shoots", "--out", f"s3://{name}/public", "--noise-key", "k"]
    run(*where, "--no-face", "publish", code=(0,))
    assert s3.keys(name, "public/") == ["public/a.jpg"]
    for key in s3.keys(name, "public.cloak/parts/"):  # a run that was killed has left no record
        s3.client.delete_object(Bucket=name, Key=key)
    run(*where, "--no-face", "hold", code=(4,))
    assert s3.keys(name, "public/") == []
    run(*where, "--no-face", "publish", code=(0,))
    s3.put(name, "public/a.jpg", b"somebody else's")
    run(*where, "--no-face", "hold", code=(1,))  # it cannot be said to be held while something stands there
    assert s3.get(name, "public/a.jpg") == b"somebody else's"


def test_what_goes_into_a_store_is_signed_too(s3, bucket, run, tmp_path):
    c2pa = pytest.importorskip("c2pa")
    from tests.signing import certified

    for file, data in zip(("certificate.pem", "key.pem"), certified(), strict=True):
        (tmp_path / file).write_bytes(data)
    sign = ["--c2pa-sign", tmp_path / "certificate.pem", "--c2pa-key", tmp_path / "key.pem"]
    where = [f"s3://{bucket}/shoots", "--out", f"s3://{bucket}/public"]
    run(*where, *sign)
    assert "of these             3" in run(*where, *sign).stdout
    published = io.BytesIO(s3.get(bucket, "public/a.jpg"))
    assert "c2pa.edited" in c2pa.Reader("image/jpeg", published).detailed_json()


def test_a_store_that_refuses_ends_the_run_with_a_clear_word(bucket, run):
    done = run(f"s3://{bucket}/shoots", "--out", "s3://nobody-has-this/x", code=(2,))
    assert "no such bucket" in done.stderr
    assert "Traceback" not in done.stderr
