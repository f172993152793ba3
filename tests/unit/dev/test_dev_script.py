"""The script ./dev: plain POSIX shell that says what it can do and refuses what it cannot."""

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / "dev"), *arguments], capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    answer = dev("help")
    assert answer.returncode == 0
    for command in ("run", "test", "lint", "e2e", "bench", "interop", "soak", "setup", "clean", "trunkline"):
        assert f"./dev {command}" in answer.stdout


def test_an_unknown_command_is_an_error_that_helps() -> None:
    answer = dev("tset")
    assert answer.returncode == 1
    assert "there is no command 'tset'" in answer.stderr
    assert "./dev test" in answer.stderr


@pytest.mark.needs("dash")
def test_the_scripts_are_posix_shell() -> None:
    shell = shutil.which("dash")
    assert shell is not None
    for script in ("dev", ".ci/run"):
        subprocess.run([shell, "-n", str(ROOT / script)], check=True)


def test_requirements_are_pinned_with_hashes_and_name_no_address() -> None:
    for name in ("runtime", "dev"):
        text = (ROOT / f"requirements/{name}.txt").read_text()
        assert "://" not in text
        assert "--index" not in text
        entries = text.replace("\\\n", " ").splitlines()
        assert entries
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries if entry.strip())


def test_every_runtime_package_is_pinned_alike_for_development() -> None:
    pins = [
        {
            line.split(" ")[0]
            for line in (ROOT / f"requirements/{name}.txt").read_text().splitlines()
            if "==" in line
        }
        for name in ("runtime", "dev")
    ]
    assert pins[0] <= pins[1]


def test_the_size_alarm_finds_long_functions() -> None:
    sizes = runpy.run_path(str(ROOT / ".ci/sizes.py"))
    body = "    pass\n" * 60
    assert list(sizes["long_functions"](f"def short(): pass\nasync def long():\n{body}")) == [("long", 2, 61)]
