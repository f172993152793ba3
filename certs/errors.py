"""Errors of the certificates room.

CertificateError    a file cannot be used as a certificate or key; the sentence names the file and the fault
"""

from __future__ import annotations


class CertificateError(Exception):
    """A certificate or key that cannot be used."""
