"""Fuzzes cloak's readers, one after the other, and tells what became of it.

    python -m fuzz --minutes 60                      # an hour for each reader
    python -m fuzz read-png photo-png --minutes 1    # some of them
    python -m fuzz --seeds ../shared/data/bad        # from other files too; they are copied into --work only

Findings, corpora and figures (results.json) are left in --work. A finding is an input after which anything but a
`CloakError` was raised, a promise of `fuzz.targets` did not hold, the process crashed, or took too long or too much
memory. To keep one, put it into `fuzz/corpus/TARGET/`: tests run it from then on, and fuzzing starts from it.

Minutes are the processor's, from the first input on: a job that stands aside for others loses nothing but the clock's.
Without atheris, or with --blind, mutations are not guided. Out-of-bounds accesses in the native modules are looked for
by scripts/fuzz_jpeg.sh.
"""

import argparse
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

RESTARTS = 50
"""A reader that crashes this often is given up: its findings want mending first."""


def fuzz(name: str, seconds: int, work: Path, seeds: list[Path], blind: bool) -> dict[str, Any]:
    """Fuzz one target for some seconds of the processor, starting it anew when it crashes."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    executions, cpu, slowest, memory = 0, 0, 0.0, 0
    edges, endings = list[int](), dict[str, int]()
    for attempt in range(RESTARTS):
        if (left := seconds - cpu) < 1:
            break
        command = [sys.executable, "-m", "fuzz.one", name, f"--seconds={left}", f"--folder={folder}"]
        command += [f"--random={random.getrandbits(31)}", *(["--blind"] if blind else []), "--seeds", *map(str, seeds)]
        log, state = folder / f"log-{attempt}", folder / "state.json"
        state.unlink(missing_ok=True)
        with log.open("wb") as output:
            done = subprocess.run(command, stdout=output, stderr=output)
        if not state.exists():
            raise SystemExit(f"{name} did not begin:\n{log.read_text(errors='replace')[-2000:]}")
        told = json.loads(state.read_text())
        executions, cpu = executions + told["executions"], cpu + told["cpu"]
        slowest, memory = max(slowest, told["slowest"]), max(memory, told["megabytes"])
        for ending, count in told["endings"].items():
            endings[ending] = endings.get(ending, 0) + count
        text = log.read_text(errors="replace")
        edges += [
            int(number) for number in re.findall(r"INITED cov: (\d+)|cov: (\d+)", text) for number in number if number
        ]
        if done.returncode and (folder / "current").exists():
            (folder / "current").replace(folder / f"crash-blind-{attempt}")
    kept = [
        path
        for path in folder.iterdir()
        if re.match(r"finding-.*(?<!\.txt)$|crash-|oom-|timeout-|slow-unit-", path.name)
    ]
    return {
        "target": name, "cpu": cpu, "executions": executions, "slowest": slowest,
        "megabytes": memory, "edges": [edges[0], edges[-1]] if edges else [], "endings": endings,
        "findings": sorted(path.name for path in kept),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--minutes", type=float, default=1.0, help="of the processor, for each reader")
    parser.add_argument("--work", type=Path, default=Path("fuzzing"), help="folder of findings, corpora and figures")
    parser.add_argument("--seeds", type=Path, action="append", default=[], help="folder of files to start from as well")
    parser.add_argument("--blind", action="store_true", help="without guidance by coverage")
    options = parser.parse_args()
    from fuzz.targets import TARGETS

    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(TARGETS)}")
    results = []
    print(
        f"{'target':<14}{'CPU s':>7}{'inputs':>10}{'edges':>14}{'slowest':>9}{'MB':>6}  findings",
        flush=True,
    )
    for name in options.targets or TARGETS:
        result = fuzz(name, int(60 * options.minutes), options.work, options.seeds, options.blind)
        results.append(result)
        (options.work / "results.json").write_text(json.dumps(results, indent=1))
        edges = " -> ".join(map(str, result["edges"]))
        print(
            f"{name:<14}{result['cpu']:>7}{result['executions']:>10}{edges:>14}{result['slowest']:>8.2f}s"
            f"{result['megabytes']:>6}  {', '.join(result['findings']) or 'none'}",
            flush=True,
        )
    return any(result["findings"] for result in results)


if __name__ == "__main__":
    sys.exit(main())
