from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from caseweave.errors import Refusal, UsageError
from caseweave.identity import keyfile
from caseweave.identity.keyfile import ProjectKey, key_path, project_key, require_same_key, temporary_key


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(keyfile.ENVIRONMENT, raising=False)
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "config"))
    return tmp_path / "config"


def test_order_of_resolution(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "darwin":
        assert key_path("breast") == config / "caseweave" / "keys" / "breast.key"
    monkeypatch.setenv(keyfile.ENVIRONMENT, str(tmp_path / "from-environment"))
    assert key_path("breast") == tmp_path / "from-environment"
    assert key_path("breast", tmp_path / "given") == tmp_path / "given"


def test_made_on_first_use_then_read(config: Path) -> None:
    first, second = project_key("breast"), project_key("breast")
    assert (first.created, second.created) == (True, False)
    assert first.material == second.material
    assert first.path is not None
    assert list(first.path.parent.iterdir()) == [first.path]
    assert project_key("lung").material != first.material


@pytest.mark.skipif(os.name != "posix", reason="permission bits are POSIX only")
def test_owner_only(config: Path) -> None:
    path = project_key("breast").path
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(Refusal, match="chmod 600") as refused:
        project_key("breast")
    assert refused.value.exit_code == 4


def test_without_posix_bits(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project_key("breast").path
    assert path is not None
    path.chmod(0o644)
    monkeypatch.setattr("caseweave.identity.keyfile.os.name", "nt")
    keyfile._refuse_open_to_others(path, path.stat())


def test_file_system_without_hard_links(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(sorted(keyfile._NO_LINKS)[0], "no hard links")

    monkeypatch.setattr("caseweave.identity.keyfile.os.link", no_links)
    made = project_key("breast")
    assert made.created
    assert project_key("breast").material == made.material


def test_two_first_uses_at_once_get_one_key(config: Path) -> None:
    found: list[ProjectKey] = []
    threads = [threading.Thread(target=lambda: found.append(project_key("breast"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.material for key in found}) == 1
    assert sum(key.created for key in found) == 1


def test_a_known_project_needs_its_key(config: Path, tmp_path: Path) -> None:
    known = project_key("breast").check_value
    assert project_key("breast", known=known).check_value == known
    with pytest.raises(Refusal, match="no key at"):
        project_key("breast", key_file=tmp_path / "gone.key", known=known)
    assert not (tmp_path / "gone.key").exists()
    project_key("breast", key_file=tmp_path / "other.key")
    with pytest.raises(Refusal, match="not the one") as refused:
        project_key("breast", key_file=tmp_path / "other.key", known=known)
    assert refused.value.exit_code == 4
    with pytest.raises(Refusal):
        require_same_key(temporary_key("breast"), known)


def test_key_stays_out_of_the_workspace(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="inside the workspace"):
        project_key("breast", key_file=tmp_path / "out" / "my.key", workspace=tmp_path / "out")


@pytest.mark.parametrize(
    "damage",
    [b"", b"hello", b"\xff" * 50, lambda text: text[:-3], lambda text: text.replace(b"check ", b"check x")],
)
def test_damaged_file(config: Path, damage: object) -> None:
    path = project_key("breast").path
    assert path is not None
    path.write_bytes(damage(path.read_bytes()) if callable(damage) else damage)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not a Caseweave key file"):
        project_key("breast")


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--key"):
        project_key("breast", key_file=tmp_path / "file" / "my.key")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "a b"])
def test_project_name(name: str) -> None:
    with pytest.raises(UsageError):
        key_path(name)


def test_no_key_material_in_words(config: Path) -> None:
    key = project_key("breast")
    assert key.material.hex() not in f"{key!r} {key} {key.check_value}"
    assert key.subkey("a") != key.subkey("b") != key.subkey("b", b"c")
    assert len(key.check_value) == 16
