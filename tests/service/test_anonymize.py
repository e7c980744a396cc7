"""POST /v1/anonymize against a real process."""

import email
import io
import json
from dataclasses import replace
from email.policy import HTTP

import httpx
import pytest
from PIL import Image

from cloak import metadata
from cloak.detect import find
from cloak.detect.recipe import RECIPES
from cloak.metadata.base import Kind
from cloak.photo import open_photo
from cloak.verify import CALM, LEEWAY


def bare_faces(data):
    """Faces that are as sure as `cloak verify` demands: the first look also takes a collar beside a mosaic for one, and
    since each run has a key of its own for the colours, it does so in one run of eight."""
    recipe = RECIPES["balanced"]
    photo = open_photo(data)
    return find(photo.preview, photo.size, replace(recipe, threshold=recipe.threshold + LEEWAY + CALM)).faces


def carriers(data):
    return [part.name for part in metadata.read(data).parts if part.kind not in {Kind.STRUCTURE, Kind.PIXELS}]


def test_a_photo_comes_back_clean_with_a_report_in_the_header(running, samples):
    data = (samples / "located.jpg").read_bytes()
    assert bare_faces(data)
    assert carriers(data)
    answer = running.http.post("/v1/anonymize", content=data)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "no-store"
    report = json.loads(answer.headers["cloak-report"])
    assert (report["status"], report["faces"]) == ("concealed", 1)
    assert report["removed"]["metadata"] > 1000
    assert Image.open(io.BytesIO(answer.content)).size == Image.open(io.BytesIO(data)).size
    assert not bare_faces(answer.content)
    assert not set(carriers(answer.content)) - {"APP2 ICC profile"}


def test_people_without_a_face_are_told_in_the_header(running, behind, landscape):
    for data, count in ((behind, 1), (landscape, 0)):
        answer = running.http.post("/v1/anonymize?no_face=publish", content=data)
        assert json.loads(answer.headers["cloak-report"])["faceless"] == count


def test_without_the_token_nothing_is_answered(running, jpeg):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
        answer = httpx.post(f"{running.url}/v1/anonymize", content=jpeg(), headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == "unauthorized"
    assert httpx.get(f"{running.url}/healthz", trust_env=False).status_code == 200
    assert httpx.get(f"{running.url}/metrics", trust_env=False).status_code == 401


@pytest.mark.parametrize(
    ("query", "body", "status", "reason"),
    [
        ("", b"words, not pixels", 415, "not-an-image"),
        ("", b"", 415, "not-an-image"),
        ("", b"\xff" * 2_000_001, 413, "too-large"),
        ("", "truncated", 422, "corrupt"),
        ("pipeline=newsroom&recall=fast", "landscape", 422, "held"),
        ("pipeline=mine", "portrait", 400, "unknown-name"),
        ("pipeline=../../etc/passwd.toml", "portrait", 400, "unknown-name"),
        ("effect=sepia", "portrait", 400, "usage"),
        ("effect=perturb", "portrait", 400, "usage"),
        ("keep=gps", "portrait", 400, "unknown-name"),
        ("colour=red", "portrait", 400, "usage"),
    ],
)
def test_errors_are_problem_documents_with_the_status_of_the_tree(
    running, jpeg, landscape, query, body, status, reason
):
    body = {"truncated": jpeg()[:-900], "landscape": landscape, "portrait": jpeg()}.get(body, body)
    answer = running.http.post(f"/v1/anonymize?{query}", content=body)
    problem = answer.json()
    assert (answer.status_code, problem["reason"]) == (status, reason), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["type"] == f"urn:cloak:problem:{reason}"
    assert problem["detail"]
    assert problem["next"]


def test_a_photo_that_waits_for_a_person_is_not_said_to_have_no_face(running, jpeg):
    problem = running.http.post("/v1/anonymize?pipeline=newsroom", content=jpeg()).json()
    assert (problem["status"], problem["reason"]) == (422, "held")
    assert "before a person has accepted it" in problem["detail"]
    assert "cloak review" in problem["next"]


def test_the_whole_report_comes_as_a_second_part(running, jpeg):
    answer = running.http.post("/v1/anonymize", content=jpeg(), headers={"Accept": "image/*;q=0.5, multipart/mixed"})
    assert answer.status_code == 200
    message = email.message_from_bytes(
        b"Content-Type: " + answer.headers["content-type"].encode() + b"\r\n\r\n" + answer.content, policy=HTTP
    )
    photo, report = message.iter_parts()
    assert photo.get_content_type() == "image/jpeg"
    assert Image.open(io.BytesIO(photo.get_payload(decode=True))).size[1] == 256
    document = json.loads(report.get_payload(decode=True))
    assert report.get_content_type() == "application/json"
    assert document["status"] == "concealed"
    assert len(document["detections"][0]) == 1
    assert "cloak-report" not in answer.headers


@pytest.mark.parametrize("accept", ["*/*", "multipart/mixed;q=0", "application/json"])
def test_only_who_asks_for_parts_gets_them(running, landscape, accept):
    answer = running.http.post("/v1/anonymize?recall=fast", content=landscape, headers={"Accept": accept})
    assert answer.headers["content-type"] == "image/jpeg"
    assert json.loads(answer.headers["cloak-report"])["status"] == "no-face"


def test_a_crowd_fits_into_the_header(running, samples):
    answer = running.http.post("/v1/anonymize?recall=fast", content=(samples / "crowd.jpg").read_bytes())
    assert json.loads(answer.headers["cloak-report"])["faces"] > 100
    assert len(answer.headers["cloak-report"]) < 2000


def test_the_same_bytes_pipeline_and_key_give_the_same_clean_bytes(running, jpeg):
    def ask(query):
        return running.http.post(f"/v1/anonymize?{query}", content=jpeg()).content

    first = ask("pipeline=photographer")
    assert first == ask("pipeline=photographer")
    assert first != ask("pipeline=photographer&strength=strong")


def test_too_many_pixels_are_refused_before_they_are_decoded(running):
    buffer = io.BytesIO()
    Image.new("1", (3000, 2000)).save(buffer, "PNG")
    answer = running.http.post("/v1/anonymize", content=buffer.getvalue())
    assert (answer.status_code, answer.json()["reason"]) == (413, "too-large")


def test_a_body_of_unknown_length_is_refused_at_the_limit_while_it_streams_in(running):
    def endless():
        for _ in range(100):
            yield b"\xff" * 100_000

    answer = running.http.post("/v1/anonymize", content=endless())
    assert (answer.status_code, answer.json()["reason"]) == (413, "too-large")


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Encoding": "gzip"}], ids=["form", "gzip"]
)
def test_forms_and_compressed_bodies_are_told_what_to_send(running, jpeg, headers):
    answer = running.http.post("/v1/anonymize", content=jpeg(), headers=headers)
    assert answer.status_code == 415
    assert "Send the image" in answer.json()["next"]


def test_inspect_names_faces_and_carriers_without_values(running, samples):
    answer = running.http.post("/v1/inspect", content=(samples / "located.jpg").read_bytes())
    document = answer.json()
    assert answer.status_code == 200, document
    assert (document["format"], len(document["faces"])) == ("jpeg", 1)
    assert any(fact["rank"] == 0 for fact in document["facts"])
    assert {tuple(fact) for fact in document["facts"]} == {("label", "rank")}
    assert any("Exif" in carrier["name"] for carrier in document["carriers"])
    refused = running.http.post("/v1/inspect", content=b"words")
    assert (refused.status_code, refused.json()["reason"]) == (415, "not-an-image")


def test_metrics_count_photos_faces_refusals_and_seconds(running, jpeg):
    def value(line):
        found = [row for row in running.http.get("/metrics").text.splitlines() if row.startswith(line + " ")]
        return float(found[0].split()[-1]) if found else 0.0

    names = [
        'cloak_photos_total{status="concealed"}', "cloak_faces_total", 'cloak_refusals_total{reason="not-an-image"}',
        'cloak_step_seconds_count{step="detect"}', 'cloak_step_seconds_count{step="wait"}',
    ]  # fmt: skip
    before = [value(name) for name in names]
    assert running.http.post("/v1/anonymize?recall=fast", content=jpeg()).status_code == 200
    assert running.http.post("/v1/anonymize", content=b"words").status_code == 415
    assert [value(name) for name in names] == [count + 1 for count in before]
    assert value("cloak_queue_depth") == 0
    assert value("cloak_ready") == 1


def test_the_manual_needs_nothing_from_elsewhere(running):
    answer = httpx.get(f"{running.url}/docs", trust_env=False)
    assert answer.status_code == 200
    assert "/v1/anonymize" in answer.text
    assert "<script" not in answer.text
    assert "//" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/anonymize", 405), ("GET", "/secrets", 404)])
def test_faults_of_http_are_problem_documents_too(running, method, path, status):
    answer = running.http.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
