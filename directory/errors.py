"""Errors of the directory.

DirectoryError    a source cannot be read at all; the sentence says which and why
"""

from __future__ import annotations


class DirectoryError(Exception):
    """A source of people that cannot be read."""
