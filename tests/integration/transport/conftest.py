"""Certificates of all kinds, made once: keys take their time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from certs import CertificateAuthority


class Papers:
    """A folder of certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = CertificateAuthority("Good CA")
        self.stranger = CertificateAuthority("Strange CA")
        (folder / "ca.pem").write_bytes(self.authority.root_pem)
        (folder / "strange-ca.pem").write_bytes(self.stranger.root_pem)

    @property
    def ca(self) -> Path:
        """The good authority."""
        return self.folder / "ca.pem"

    def pair(self, name: str) -> tuple[Path, Path]:
        """Where a certificate lies."""
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    made = Papers(tmp_path_factory.mktemp("papers"))
    good, issue = made.authority, made.authority.issue
    issue("sbc1.contoso.example").write(*made.pair("sbc"))
    issue("*.customers.contoso.example").write(*made.pair("customers"))
    issue("hub.contoso.example", eku=("serverAuth",)).write(*made.pair("hub-server-only"))
    issue("hub.contoso.example", eku=("clientAuth",)).write(*made.pair("hub-client-only"))
    issue("hub.contoso.example").write(*made.pair("hub"))
    issue("hub.contoso.example", days=-1).write(*made.pair("hub-expired"))
    issue("agent.contoso.example").write(*made.pair("agent"))
    made.stranger.issue("hub.contoso.example").write(*made.pair("hub-strange"))
    between = CertificateAuthority("Deep CA", intermediate=True)
    (made.folder / "deep-ca.pem").write_bytes(between.root_pem)
    between.issue("hub.contoso.example").write(*made.pair("hub-deep"))
    between.issue("hub.contoso.example", with_intermediate=False).write(*made.pair("hub-short-chain"))
    assert good.root_pem != between.root_pem
    return made


@pytest.fixture
async def keep() -> AsyncIterator[contextlib.AsyncExitStack]:
    """Closes what a test has opened, whatever became of the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack
    await asyncio.sleep(0.02)  # lets transports of both ends see that the other is gone
