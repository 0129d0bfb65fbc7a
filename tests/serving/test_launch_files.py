"""Claims about launch/serve: its files name options, paths, ports and times that are those of `serve`, and no torch."""

import argparse
import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from starlette.testclient import TestClient

from lightning_base.cli.serve import _parser
from lightning_base.serving.app import Application
from lightning_base.serving.cores import cores
from lightning_base.serving.logs import Log
from lightning_base.serving.settings import Settings
from tests.helpers import ROOT
from tests.support.answering import Fake

PLACE = ROOT / "launch" / "serve"
CONTAINER = (PLACE / "Containerfile").read_text()
UNIT = (PLACE / "lightning-base-serve.service").read_text()
KUBERNETES = {one["kind"]: one for one in yaml.safe_load_all((PLACE / "kubernetes.yaml").read_text())}
POD: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]["spec"]
SERVE: dict[str, Any] = POD["containers"][0]
MIB = 2**20


def options(words: list[str]) -> argparse.Namespace:
    """What `serve` makes of a command; it ends the test where it refuses it."""
    program, verb, *rest = words
    assert (Path(program).name, verb) == ("lightning-base", "serve")
    return _parser().parse_args(rest)


def instruction(name: str) -> str:
    """What stands behind the last such instruction of the container file."""
    return re.findall(rf"^{name} ((?:.*\\\n)*.*)$", CONTAINER, re.MULTILINE)[-1]


def entry() -> list[str]:
    words: list[str] = json.loads(instruction("ENTRYPOINT"))
    return words


def in_unit(name: str) -> str:
    """The last value of a key of the unit."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)[-1]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """What asks a server."""
    with TestClient(Application([(Path("a"), Fake())], Settings(), Log()).asgi) as one:
        yield one


def requirements() -> list[Requirement]:
    lines = (PLACE / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def test_the_requirements_are_those_of_the_project_and_hold_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["serve"]
    bounds = {one.name: one.specifier for one in map(Requirement, [*project["dependencies"], *extra])}
    named = {one.name: one.specifier for one in requirements()}
    assert named.items() <= bounds.items()
    assert {Requirement(one).name for one in extra} <= named.keys()
    assert not {"torch", "lightning", "pandas", "pyarrow", "scipy", "scikit-learn"} & closure()


def closure() -> set[str]:
    """The distributions that the requirements bring, as they are installed here."""
    found: set[str] = set()
    open_ = [canonicalize_name(one.name) for one in requirements()]
    while open_:
        name = open_.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needs = [Requirement(one) for one in requires(name) or ()]
        except PackageNotFoundError:  # for another platform or Python
            continue
        open_ += [canonicalize_name(r.name) for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


ALONE = """
import importlib, pkgutil, sys
from importlib.metadata import packages_distributions
from packaging.utils import canonicalize_name

allowed = set(sys.argv[1].split())
of = {name: {canonicalize_name(d) for d in ds} for name, ds in packages_distributions().items()}

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in of and not of[top] & allowed and top not in ("lightning_base", "_distutils_hack"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=top)

sys.meta_path.insert(0, Only())
for room in ("cli.entry", "cli.serve", "cli.bench", "serving", "runtime"):
    module = importlib.import_module("lightning_base." + room)
    for _, name, _ in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
        if name in ("lightning_base.runtime.program", "lightning_base.runtime.recurrent"):
            continue  # of programs of torch's
        importlib.import_module(name)
print(sum(name.startswith("lightning_base.serving") for name in sys.modules))
"""


def test_all_that_serves_is_imported_with_the_requirements_alone() -> None:
    command = [sys.executable, "-c", ALONE, " ".join(sorted(closure()))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_what_is_imported_only_when_it_is_needed_is_among_the_requirements() -> None:
    """As soundfile is, by the first sound."""
    provided, there = packages_distributions(), closure()
    lacking = set()
    asked = {"torch", "onnxscript", "pyarrow"}  # for programs of torch's, and the log of answers as Parquet
    for room in ("runtime", "serving"):
        for path in (ROOT / "lightning_base" / room).rglob("*.py"):
            for name in imported(path) - asked:
                own = name == "lightning_base" or name in sys.stdlib_module_names
                if not own and not {canonicalize_name(one) for one in provided.get(name, ())} & there:
                    lacking.add(f"{path.name}: {name}")
    assert not lacking


def imported(path: Path) -> set[str]:
    """The packages that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names}


def test_the_container_serves_at_the_port_that_it_names_as_no_root(client: TestClient) -> None:
    asked = options([*entry(), *json.loads(instruction("CMD"))])
    assert asked.export == ["/models/model"]
    assert asked.host == "0.0.0.0"
    assert str(asked.port) == instruction("EXPOSE")
    user, _, group = instruction("USER").partition(":")
    assert int(user) == int(group) > 999
    assert f"--uid {user}" in CONTAINER
    assert instruction("STOPSIGNAL") == "SIGTERM"
    (host, port, path) = re.findall(r"http://([\d.]+):(\d+)(/\w+)'", instruction("HEALTHCHECK"))[0]
    assert (host, int(port)) == ("127.0.0.1", asked.port)
    assert client.get(path).status_code == 200
    assert "requirements.txt" in instruction("COPY") or "COPY requirements.txt" in CONTAINER
    assert "--no-deps /build/lightning_base-*.whl" in CONTAINER


def test_the_unit_serves_a_folder_with_a_key_and_has_time_to_end() -> None:
    asked = options(shlex.split(in_unit("ExecStart")))
    assert asked.export == ["/srv/lightning-base/model"]
    assert asked.host == "127.0.0.1"
    name, _, file = in_unit("LoadCredential").partition(":")
    assert asked.api_key_file == f"%d/{name}"
    assert Path(file).is_absolute()
    assert int(in_unit("TimeoutStopSec")) >= asked.drain + asked.grace + 5
    assert in_unit("KillSignal") == "SIGTERM"
    assert in_unit("Restart") == "on-failure"
    assert in_unit("ProtectSystem") == "strict"
    assert {in_unit(one) for one in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "ProtectHome")} == {"yes"}
    assert int(in_unit("MemoryMax").removesuffix("G")) * 2**30 >= asked.max_memory + 512 * MIB


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_finds_it_little_exposed(work: Path) -> None:
    unit = work / "lightning-base-serve.service"
    unit.write_text(UNIT.replace("/opt/lightning-base/bin/lightning-base", sys.executable))  # it must be there
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", unit], capture_output=True, text=True, check=False
    ).stdout
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) < 2


def test_the_pod_runs_what_the_image_holds_as_the_images_user() -> None:
    asked = options([*entry(), *SERVE["args"]])
    assert asked.export == json.loads(instruction("CMD"))
    assert SERVE["ports"] == [{"name": "http", "containerPort": asked.port}]
    user, _, group = instruction("USER").partition(":")
    context = POD["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
    assert context["runAsNonRoot"] is True
    own = SERVE["securityContext"]
    assert (own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]) == (True, False)
    assert own["capabilities"] == {"drop": ["ALL"]}
    mounts = {one["name"]: one["mountPath"] for one in SERVE["volumeMounts"]}
    volumes = {one["name"]: one for one in POD["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert mounts["tmp"] == "/tmp"
    assert Path(asked.api_key_file).parent == Path(mounts["keys"])
    header = (PLACE / "kubernetes.yaml").read_text().partition("apiVersion")[0]
    secret = volumes["keys"]["secret"]
    assert f"create secret generic {secret['secretName']} --from-literal={Path(asked.api_key_file).name}=" in header
    assert secret["defaultMode"] == 0o440  # YAML 1.1, as kubectl reads it


def test_the_pods_limits_and_times_fit_the_options(tmp_path: Path) -> None:
    asked = options([*entry(), *SERVE["args"]])
    limits = SERVE["resources"]["limits"]
    (tmp_path / "cpu.max").write_text(f"{int(limits['cpu']) * 100_000} 100000")  # what the pod's limit is in it
    assert cores(tmp_path / "cpu.max") == min(int(limits["cpu"]), len(os.sched_getaffinity(0)))
    assert asked.threads is asked.concurrency is None
    assert int(limits["memory"].removesuffix("Gi")) * 2**30 >= asked.max_memory + 512 * MIB
    assert POD["terminationGracePeriodSeconds"] >= asked.drain + asked.grace + 10
    ready = SERVE["readinessProbe"]
    assert asked.drain >= ready["periodSeconds"] * ready["failureThreshold"] + 2  # a Service lets go of it meanwhile


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_probe_is_answered_and_draining_kills_no_pod(probe: str, client: TestClient) -> None:
    asked = SERVE[probe]["httpGet"]
    assert asked["port"] in [one["name"] for one in SERVE["ports"]]
    assert client.get(asked["path"]).status_code == 200
    app = Application([(Path("a"), Fake())], Settings(keys=("k",)), Log())
    with TestClient(app.asgi) as one:
        assert one.get(asked["path"]).status_code == 200  # without a key
        app.state.is_stopping = True
        assert one.get(asked["path"]).status_code == (200 if probe == "livenessProbe" else 503)


def test_what_finds_the_pods_finds_them() -> None:
    labels = KUBERNETES["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert KUBERNETES["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert KUBERNETES["Service"]["spec"]["selector"] == labels
    assert KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    (port,) = KUBERNETES["Service"]["spec"]["ports"]
    assert port["targetPort"] in [one["name"] for one in SERVE["ports"]]
    scaled = KUBERNETES["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == KUBERNETES["Deployment"]["metadata"]["name"]
    assert scaled["minReplicas"] > KUBERNETES["PodDisruptionBudget"]["spec"]["minAvailable"]  # else no node is drained
    assert "replicas" not in KUBERNETES["Deployment"]["spec"]
