"""The service under more clients than it can serve, beside the same work in process.

    python -m benchmarks.service [--seconds 60] [--clients 64] [--workers 2] [--queue 16]

Clients send photos without pause and wait as long as Retry-After says. Stated are: answers by status (nothing but 200
and 503 may be among them), seconds of a worker for a photo and photos a second beside `cloak.anonymize` in as many
processes (measured before and after, on the same photos), seconds from request to answer, and the memory of all the
service's processes, early and late. The last line is the verdict, and so is the exit code.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks.measure import ROOT, SCRATCH, _family, _resident
from cloak.anonymizer import anonymize
from cloak.pool import Pool
from cloak.work import set_up

TOKEN = "a-token-for-the-benchmark-0123456789"
SLOWER = 1.3
"""Times that a photo may take in a worker of the service as long as in process."""

GROWTH = 0.05
"""Share by which memory may grow from the first half to the second, of the last four fifths of the time."""

PHOTOS = ("group.jpg", "turned.jpg", "located.jpg", "close.jpg", "landscape.jpg")


def photo_seconds(path: Path) -> float:
    """What one photo takes in this process."""
    data = path.read_bytes()
    started = time.perf_counter()
    anonymize(data, "cms", key=b"benchmark")
    return time.perf_counter() - started


def in_process(photos: list[Path], workers: int, seconds: float) -> tuple[list[float], float]:
    """Seconds a photo, and photos a second, without the service."""

    def again():
        while time.monotonic() < end:
            yield from photos

    with Pool(photo_seconds, workers, 300, set_up) as pool:
        end = time.monotonic() + 300
        list(zip(range(2 * workers), pool.map(photos * workers), strict=False))  # models are loaded
        list(pool.drain())
        started = time.monotonic()
        end = started + seconds
        spent = [answer for _, answer in pool.map(again())]
        return spent, len(spent) / (time.monotonic() - started)


async def client(http: httpx.AsyncClient, photos: list[bytes], number: int, end: float, seen: dict) -> None:
    """One client: it sends, and waits when it is told to."""
    while time.monotonic() < end:
        started = time.monotonic()
        try:
            answer = await http.post("/v1/anonymize", content=photos[number % len(photos)])
        except httpx.HTTPError as error:
            seen["answers"][type(error).__name__] += 1
            continue
        seen["answers"][answer.status_code] += 1
        if answer.status_code == 200:
            number += 1
            seen["whole"].append(time.monotonic() - started)
            steps = dict(step.split(";dur=") for step in answer.headers["server-timing"].split(", "))
            seen["work"].append(float(steps["work"]) / 1000)
        else:
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))


async def load(url: str, pid: int, photos: list[bytes], clients: int, seconds: float) -> dict:
    """Everything that clients see, and the service's memory each second, in MB."""
    seen = {"answers": Counter(), "whole": [], "work": [], "memory": []}
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=300, limits=limits, trust_env=False) as http:
        end = time.monotonic() + seconds
        tasks = [asyncio.create_task(client(http, photos, n, end, seen)) for n in range(clients)]
        while time.monotonic() < end:
            await asyncio.sleep(1)
            seen["memory"].append(sum(map(_resident, _family(pid))))
        await asyncio.gather(*tasks)
    seen["seconds"] = time.monotonic() - (end - seconds)
    return seen


def serve(workers: int, queue: int) -> tuple[subprocess.Popen, str]:
    """A service that is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cloak.cli", "serve", "--port", port, "--workers", workers, "--queue", queue, "-q"]
    process = subprocess.Popen(list(map(str, command)), env={**os.environ, "CLOAK_TOKEN": TOKEN})
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return process, url
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the service did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--queue", type=int, default=16)
    parser.add_argument("--json", type=Path, default=SCRATCH / "service.json")
    options = parser.parse_args()
    paths = [ROOT / "samples" / name for name in PHOTOS]
    before, rate_before = in_process(paths, options.workers, options.seconds / 2)
    process, url = serve(options.workers, options.queue)
    try:
        photos = [path.read_bytes() for path in paths]
        seen = asyncio.run(load(url, process.pid, photos, options.clients, options.seconds))
    finally:
        process.terminate()
        process.wait(120)
    after, rate_after = in_process(paths, options.workers, options.seconds / 2)
    alone, rate = statistics.median(before + after), (rate_before + rate_after) / 2
    work, whole = statistics.median(seen["work"]), statistics.median(seen["whole"])
    early, late = (statistics.median(part) for part in _halves(seen["memory"][len(seen["memory"]) // 5 :]))
    errors = {str(k): v for k, v in seen["answers"].items() if k not in {200, 503}}
    served = seen["answers"][200] / seen["seconds"]
    print(f"{options.clients} clients, {options.workers} workers, queue {options.queue}, {options.seconds:g} s")
    print(f"answers          {dict(seen['answers'])}; errors but 503: {errors or 'none'}")
    print(f"median a photo   {work:.3f} s in a worker; {alone:.3f} s in process: {work / alone:.2f}x")
    print(f"photos a second  {served:.2f}; in process {rate:.2f}: {served / rate:.2f}x")
    print(f"request, whole   median {whole:.2f} s, waiting in the queue included")
    print(f"memory           {early:.0f} MB early, {late:.0f} MB late: {late / early - 1:+.1%}")
    faults = [
        words
        for words, found in (
            ("errors but 503", bool(errors) or not seen["answers"][200]),
            (f"slower than {SLOWER}x", work / alone > SLOWER),
            (f"memory grew by more than {GROWTH:.0%}", late / early - 1 > GROWTH),
        )
        if found
    ]
    print(f"verdict          {'; '.join(faults) or 'passed'}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "answers": {str(k): v for k, v in seen["answers"].items()}, "work": work, "alone": alone, "ratio": work / alone,
        "rate": served, "rate_alone": rate, "whole": whole, "memory_early": early, "memory_late": late,
        "faults": faults,
    }  # fmt: skip
    options.json.write_text(json.dumps(figures, indent=1))
    sys.exit(1 if faults else 0)


def _halves(values: list[float]) -> tuple[list[float], list[float]]:
    middle = len(values) // 2
    return values[:middle], values[middle:]


if __name__ == "__main__":
    main()
