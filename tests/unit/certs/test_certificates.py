"""Certificates: names, faults in words, and the swap of a changed pair."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from certs import (
    CertificateAuthority,
    CertificateError,
    CertificateStore,
    covers,
    load_identity,
    name_matches,
)
from certs.store import Files


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority(intermediate=True)


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("sbc1.contoso.example", "SBC1.contoso.example", True),
        ("*.contoso.example", "sbc1.contoso.example", True),
        ("*.contoso.example", "a.sbc1.contoso.example", False),
        ("*.contoso.example", "contoso.example", False),
        ("*", "contoso.example", False),
        ("*.example", "contoso.example", False),
        ("s*.contoso.example", "sbc1.contoso.example", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("*.0.2.1", "192.0.2.1", False),
        ("", "", False),
    ],
)
def test_names_match_as_rfc_6125_says(pattern: str, host: str, fits: bool) -> None:
    assert name_matches(pattern, host) is fits


def test_facts_of_a_certificate(tmp_path: Path, authority: CertificateAuthority) -> None:
    authority.issue("sbc1.contoso.example", "192.0.2.1", eku=("serverAuth",), days=30).write(
        tmp_path / "c", tmp_path / "k"
    )
    identity = load_identity("main", tmp_path / "c", tmp_path / "k")
    facts = identity.facts
    assert facts.names == ("sbc1.contoso.example", "192.0.2.1")
    assert facts.eku == ("serverAuth",)
    assert (facts.key_type, facts.key_bits) == ("RSA", 2048)
    assert 29 < facts.days_left(dt.datetime.now(dt.UTC)) < 31
    assert len(identity.chain) == 1
    assert covers(facts.names, ("elsewhere", "sbc1.contoso.example"))


def test_what_is_wrong_is_said_with_the_files_name(tmp_path: Path, authority: CertificateAuthority) -> None:
    one, two = authority.issue("a.example"), authority.issue("b.example")
    one.write(tmp_path / "a.pem", tmp_path / "a.key")
    two.write(tmp_path / "b.pem", tmp_path / "b.key")
    (tmp_path / "junk").write_text("junk")
    for chain, key, sentence in (
        ("a.pem", "b.key", "b.key: the key does not belong"),
        ("junk", "a.key", "junk: holds no certificate"),
        ("a.pem", "junk", "junk: holds no private key"),
        ("none", "a.key", "none: No such file"),
    ):
        with pytest.raises(CertificateError, match=sentence):
            load_identity("x", tmp_path / chain, tmp_path / key)


async def test_a_changed_pair_is_taken_up_and_a_bad_one_refused(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    chain, key = tmp_path / "c.pem", tmp_path / "k.pem"
    authority.issue("a.example").write(chain, key)
    changed, refused = [], []
    store = CertificateStore(
        {"main": Files(chain, key)},
        changed=changed.append,
        refused=lambda n, why: refused.append(why),
        interval_s=0.01,
    )
    store.load()
    watcher = asyncio.create_task(store.watch())
    try:
        chain.write_text("broken")
        async with asyncio.timeout(5):
            while not refused:
                await asyncio.sleep(0.005)
        assert store["main"].facts.names == ("a.example",)
        authority.issue("b.example").write(chain, key)
        async with asyncio.timeout(5):
            while len(changed) < 2:
                await asyncio.sleep(0.005)
        assert store["main"].facts.names == ("b.example",)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
