"""The images can't rot: what their files say holds, their build steps run here, the watch does what it is for."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.house.files import ROOT
from tests.services.need import require

CONTAINERS = ROOT / "containers"
DOCKERFILES = sorted(CONTAINERS.glob("*/Dockerfile"))
COMPOSE = CONTAINERS / "compose.yaml"
WATCH = CONTAINERS / "etl-fhir" / "watch"
OURS = ("fhir", "cdm", "etl")


@dataclass
class Stage:
    """One stage of a Dockerfile: its image and its instructions, as (word, rest)."""

    image: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, word: str) -> list[str]:
        return [rest for name, rest in self.steps if name == word]


def stages(path: Path) -> list[Stage]:
    """A Dockerfile's stages; continued lines are joined."""
    found: list[Stage] = []
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            if word == "FROM":
                found.append(Stage(rest.split()[0]))
            else:
                found[-1].steps.append((word, " ".join(rest.split())))
    return found


def test_there_are_some() -> None:
    assert {path.parent.name for path in DOCKERFILES} >= {"etl-fhir", "hapi"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_is_nobody_of_importance(path: Path) -> None:
    *_, last = found = stages(path)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", last.of("USER")[-1]), "not root, by number"
    assert [word for word, _ in last.steps if word in ("HEALTHCHECK", "ENTRYPOINT")] == ["HEALTHCHECK", "ENTRYPOINT"]
    assert all(re.search(r":\d", stage.image) for stage in found), "images have versions"
    assert [rest for stage in found for rest in stage.of("ADD")] == []
    assert [rest for stage in found for rest in stage.of("ENV") if re.search("PASSWORD|SECRET|TOKEN", rest)] == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_is_copied_is_there(path: Path) -> None:
    context = ROOT if path.parent.name == "etl-fhir" else path.parent
    copied = [
        source
        for stage in stages(path)
        for rest in stage.of("COPY")
        if "--from=" not in rest
        for source in [word for word in rest.split() if not word.startswith("--")][:-1]
    ]
    assert copied
    assert [source for source in copied if not (context / source).exists()] == []


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(COMPOSE.read_text(encoding="utf-8"))
    return found


def test_the_services_may_do_little(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(OURS) < set(services)
    for name, service in services.items():
        assert "privileged" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")] == [], name
        assert "build" in service or re.search(r":\d", service["image"])
        for value in service.get("environment", {}).values():
            assert "PASSWORD" not in str(value) or str(value).startswith("${POSTGRES_PASSWORD:?"), name
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["tmpfs"] == ["/tmp"]


def test_what_is_built_and_mounted_is_there(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        build = service.get("build")
        if build:
            context = CONTAINERS / (build["context"] if isinstance(build, dict) else build)
            assert (context / (build["dockerfile"] if isinstance(build, dict) else "Dockerfile")).is_file(), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (CONTAINERS / source).exists() if source.startswith(".") else source in compose["volumes"], name
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def compose_client() -> list[str]:
    """What understands compose files here: docker's plugin, or the program alone; its first version doesn't."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and "version 1." not in done.stdout:
                return command
    pytest.skip("no docker compose here")


def test_docker_understands_it(tmp_path: Path) -> None:
    client = compose_client()
    password = tmp_path / "env"
    password.write_text("POSTGRES_PASSWORD=only-to-look\n", encoding="ascii")
    command = [*client, "--env-file", str(password), "-f", str(COMPOSE), "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services["etl"]["environment"]["PGPASSWORD"] == "only-to-look"
    assert services["fhir"]["ports"][0]["host_ip"] == "127.0.0.1"


def test_docker_says_which_password_is_missing(tmp_path: Path) -> None:
    client = compose_client()
    nothing = tmp_path / "env"
    nothing.touch()
    environment = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    command = [*client, "--env-file", str(nothing), "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "set a password for PostgreSQL" in done.stderr


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_the_image_has_the_versions_that_are_tested() -> None:
    image, tested = pins("image.txt"), pins("test.txt")
    assert {name: version for name, version in image.items() if tested.get(name) != version} == {}


@pytest.mark.torture
def test_the_build_steps_run_in_a_clean_environment(tmp_path: Path) -> None:
    """Each RUN of the build stage, in a folder that holds what was copied; packages are those that are here."""
    build = stages(CONTAINERS / "etl-fhir" / "Dockerfile")[0]
    source, home = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PIP_NO_INDEX": "1",
    }
    here = next(path for path in sys.path if path.endswith("site-packages"))
    ran = 0
    for word, rest in build.steps:
        if word == "COPY":
            *names, target = rest.split()
            for name in names:
                copy = source / (name if target == "./" else target)
                copy.parent.mkdir(parents=True, exist_ok=True)
                whole = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, copy, ignore=whole) if (ROOT / name).is_dir() else shutil.copy(
                    ROOT / name, copy
                )
        if word == "RUN":
            command = rest.replace("/opt/caseweave", str(home / "caseweave")).split()
            done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{rest}:\n{done.stdout}{done.stderr}"
            ran += 1
            if "venv" in rest:  # there is no index here: what is pinned must be what is installed
                (found,) = home.glob("caseweave/lib/python*/site-packages")
                (found / "here.pth").write_text(here + "\n", encoding="utf-8")
    assert ran == 4
    assert (home / "caseweave" / "bin" / "caseweave").is_file()
    (installed,) = home.glob("caseweave/lib/python*/site-packages/caseweave")
    assert (installed / "_data" / "mappings").is_dir()


@dataclass
class Watched:
    """The watch at work, with a `caseweave` that only writes down what it is asked and answers as it is told."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def drop(self) -> Path:
        return self.folder / "drop"

    def answer(self, code: int) -> None:
        (self.folder / "code").write_text(str(code), encoding="ascii")

    def calls(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def until(self, calls: int, seconds: float = 20) -> list[str]:
        end = time.monotonic() + seconds
        while len(self.calls()) < calls and time.monotonic() < end:
            time.sleep(0.05)
        return self.calls()

    def again(self) -> None:
        """Kill it, as a cut of power would, and start it."""
        self.process.kill()
        self.process.wait(10)
        self.process = started(self.folder)

    def healthy(self) -> bool:
        done = subprocess.run(["sh", str(WATCH), "health"], env=environment_of(self.folder), check=False)
        return done.returncode == 0

    def comes_to_be(self, *, healthy: bool, seconds: float = 20) -> bool:
        """Whether the health check says so before the time is over."""
        end = time.monotonic() + seconds
        while self.healthy() != healthy and time.monotonic() < end:
            time.sleep(0.05)
        return self.healthy() == healthy


STUB = """#!/bin/sh
echo "$@" >>"{folder}/log"
for one in "$@"; do
    case $one in
        *broken.xlsx) exit 2 ;;
        {folder}/drop) if [ -e "$one/broken.xlsx" ]; then exit 2; fi ;;
    esac
done
exit "$(cat "{folder}/code")"
"""


def started(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sh", str(WATCH)], env=environment_of(folder), stdout=subprocess.DEVNULL)


def environment_of(folder: Path) -> dict[str, str]:
    places = {"DROP": "drop", "OUT": "out", "STATE": "state", "BEAT": "beat"}
    return {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "EVERY": "0.2",
        "ARGUMENTS": "--study mini --fhir http://fhir/r4",
        **{name: str(folder / place) for name, place in places.items()},
    }


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    require(shutil.which("find"), "there is no find here")
    (tmp_path / "drop").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "code").write_text("0", encoding="ascii")
    stub = tmp_path / "bin" / "caseweave"
    stub.write_text(STUB.format(folder=tmp_path), encoding="utf-8")
    stub.chmod(0o755)
    found = Watched(tmp_path, started(tmp_path))
    yield found
    found.process.send_signal(signal.SIGTERM)
    assert found.process.wait(10) == 0


def test_what_is_dropped_is_loaded_once(watched: Watched) -> None:
    (watched.drop / "form.xlsx").write_bytes(b"1")
    asked = f"run {watched.drop} -o {watched.folder / 'out'} --study mini --fhir http://fhir/r4"
    assert watched.until(1) == [asked]
    time.sleep(1)
    assert watched.calls() == [asked]
    assert watched.healthy()
    (watched.drop / "form.xlsx").write_bytes(b"22")
    assert watched.until(2) == [asked] * 2
    (watched.drop / "~$form.xlsx").write_bytes(b"a lock of Excel")
    time.sleep(1)
    assert len(watched.calls()) == 2


def test_what_still_grows_waits(watched: Watched) -> None:
    for size in range(1, 15):
        (watched.drop / "export.csv").write_bytes(b"x" * size)
        time.sleep(0.1)
    assert watched.calls() == []
    assert len(watched.until(1)) == 1


def test_a_target_that_failed_is_tried_again_and_told(watched: Watched) -> None:
    watched.answer(3)
    (watched.drop / "form.xlsx").write_bytes(b"1")
    assert len(watched.until(2)) >= 2
    assert not watched.healthy()
    watched.answer(1)
    count = len(watched.calls())
    watched.until(count + 1)
    time.sleep(1)
    assert len(watched.calls()) <= count + 2
    assert watched.healthy()


def test_what_is_refused_is_not_tried_again_until_it_changes(watched: Watched) -> None:
    watched.answer(4)
    (watched.drop / "form.xlsx").write_bytes(b"1")
    assert len(watched.until(1)) == 1
    time.sleep(1)
    assert len(watched.calls()) == 1
    assert not watched.healthy()


def test_a_file_that_cant_be_read_keeps_no_other_waiting(watched: Watched) -> None:
    (watched.drop / "form *one*.xlsx").write_bytes(b"1")
    (watched.drop / "broken.xlsx").write_bytes(b"no workbook")
    run, words = f"-o {watched.folder / 'out'} --study mini --fhir http://fhir/r4", f"{watched.folder}/state/check"
    wanted = [
        f"run {watched.drop} {run}",
        f"check {watched.drop}/broken.xlsx -o {words} --study mini",
        f"check {watched.drop}/form *one*.xlsx -o {words} --study mini",
        f"run {watched.drop}/form *one*.xlsx {run}",
    ]
    assert watched.until(4) == wanted
    time.sleep(1)
    assert watched.calls() == wanted
    assert not watched.healthy()
    (watched.drop / "broken.xlsx").unlink()
    assert watched.until(5) == [*wanted, wanted[0]]
    time.sleep(0.5)
    assert watched.healthy()


def test_a_folder_that_isnt_there_is_no_empty_one(watched: Watched) -> None:
    assert watched.healthy()
    watched.drop.rename(watched.folder / "elsewhere")
    assert watched.comes_to_be(healthy=False)
    (watched.folder / "elsewhere").rename(watched.drop)
    assert watched.comes_to_be(healthy=True)


def test_a_restart_loads_nothing_twice_and_what_it_cut_off_again(watched: Watched) -> None:
    (watched.drop / "form.xlsx").write_bytes(b"1")
    assert len(watched.until(1)) == 1
    time.sleep(0.5)
    watched.again()
    time.sleep(1)
    assert len(watched.calls()) == 1
    (watched.folder / "state" / "loaded").unlink()  # as if it had been killed while it loaded
    watched.again()
    assert len(watched.until(2)) == 2
