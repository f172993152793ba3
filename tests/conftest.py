"""What all tests share: the mark `needs`, a skip at home and a failure on CI when a program is missing."""

import os
import shutil

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the programs that a test says it needs."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for mark in item.iter_markers("needs"):
        for program in mark.args:
            if shutil.which(program, path=path) is None:
                sentence = f"needs the program {program!r}, which is not installed"
                if os.environ.get("CI", "").lower() in {"true", "1"}:
                    pytest.fail(sentence, pytrace=False)
                pytest.skip(sentence)
