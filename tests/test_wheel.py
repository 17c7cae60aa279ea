"""The wheel carries the configuration and works from any folder."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_works_from_any_folder(unpacked: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r}); import llm_lab;"
        f"assert llm_lab.__file__.startswith({str(unpacked)!r});"
        "from llm_lab.__main__ import main; sys.exit(main(['check', '+experiment=sentiment']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_conf_and_no_tests(unpacked: Path) -> None:
    assert (unpacked / "llm_lab" / "conf" / "config.yaml").is_file()
    assert (unpacked / "hydra_plugins" / "llm_lab").is_dir()
    assert not (unpacked / "tests").exists()
