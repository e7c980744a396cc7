"""POST /v1/anonymize against a real process."""

import io
import json

import httpx
import pytest
from PIL import Image

from cloak import metadata
from cloak.detect import find
from cloak.metadata.base import Kind
from cloak.photo import open_photo


def bare_faces(data):
    from cloak.detect.recipe import RECIPES

    photo = open_photo(data)
    return find(photo.preview, photo.size, RECIPES["balanced"]).faces


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
