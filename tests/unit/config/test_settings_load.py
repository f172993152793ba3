"""A good file gives complete settings; environment, secret files and relative paths work as documented."""

from pathlib import Path

import pytest

from config import ConfigError, Settings, load_settings
from config.reference import reference

ROOT = Path(__file__).parents[3]

MINIMAL = """\
[node]
fqdn = "sbc1.contoso.example"
[certificates.main]
chain = "chain.pem"
key = "key.pem"
[[listeners]]
name = "tls"
transport = "tls"
port = 5061
certificate = "main"
[[listeners]]
name = "udp"
transport = "udp"
port = 5060
[media]
address = "192.0.2.1"
[[tenants]]
name = "contoso"
directory = "people.csv"
[[trunks]]
name = "teams-1"
kind = "teams"
[[trunks]]
name = "talkdesk"
kind = "talkdesk"
sources = "203.0.113.0/24"
targets = ["sip:203.0.113.5;transport=udp", "talkdesk.example:5070"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("chain.pem", "key.pem", "people.csv"):
        (tmp_path / name).write_text("x")
    return tmp_path


def load(folder: Path, text: str = MINIMAL, **env: str) -> Settings:
    file = folder / "trunkline.toml"
    file.write_text(text)
    return load_settings(file, env)


def test_defaults_of_a_teams_trunk_follow_from_its_kind_and_the_rest(folder: Path) -> None:
    trunk = load(folder).trunk("teams-1")
    assert trunk.tenant == "contoso"
    assert trunk.fqdn == "sbc1.contoso.example"
    assert (trunk.listener, trunk.accept_on, trunk.certificate) == ("tls", ("tls",), "main")
    assert trunk.sources == ("52.112.0.0/14", "52.120.0.0/14")
    assert [(t.host, t.port, t.transport) for t in trunk.parsed_targets()] == [
        ("sip.pstnhub.microsoft.com", 5061, "tls"),
        ("sip2.pstnhub.microsoft.com", 5061, "tls"),
        ("sip3.pstnhub.microsoft.com", 5061, "tls"),
    ]
    assert trunk.require_client_certificate
    assert trunk.accept_server_auth_only
    assert trunk.options_interval_s == 60
    assert not trunk.allow_refer


def test_a_talkdesk_trunk_takes_transport_and_listener_from_its_first_target(folder: Path) -> None:
    trunk = load(folder).trunk("talkdesk")
    assert (trunk.transport, trunk.listener) == ("udp", "udp")
    assert [(t.host, t.port, t.transport) for t in trunk.parsed_targets()] == [
        ("203.0.113.5", 5060, "udp"),
        ("talkdesk.example", 5070, "udp"),
    ]
    assert trunk.sources == ("203.0.113.0/24",)
    assert trunk.certificate is None
    assert set(trunk.accept_on) == {"tls", "udp"}


def test_srv_is_asked_only_for_names_without_a_port(folder: Path) -> None:
    text = MINIMAL + 'dns = "srv"\n'
    text = text.replace('"talkdesk.example:5070"', '"talkdesk.example:5070", "talkdesk.example"')
    assert [t.srv for t in load(folder, text).trunk("talkdesk").parsed_targets()] == [False, False, True]


def test_paths_are_relative_to_the_file(folder: Path) -> None:
    settings = load(folder)
    assert settings.certificates["main"].chain == folder / "chain.pem"
    assert settings.tenant("contoso").directory == folder / "people.csv"


def test_settings_cannot_be_changed(folder: Path) -> None:
    settings = load(folder)
    with pytest.raises(ValueError, match="frozen"):
        settings.node.fqdn = "other.contoso.example"  # type: ignore[misc]  # that is the test
    with pytest.raises(ValueError, match="frozen"):
        settings.node = settings.node  # type: ignore[misc]  # that is the test


def test_the_environment_goes_over_the_file(folder: Path) -> None:
    settings = load(
        folder,
        TRUNKLINE__NODE__FQDN="sbc2.contoso.example",
        TRUNKLINE__NODE__LOG__LEVEL="debug",
        TRUNKLINE__TRUNKS__TEAMS_1__ALLOW_REFER="yes",
        TRUNKLINE__TRUNKS__1__SOURCES="192.0.2.0/24, 198.51.100.7",
        trunkline__media__port_max="31000",
        TRUNKLINE__DNS__STATIC='{"hub.contoso.example": ["192.0.2.9"]}',
        OTHER__NODE__FQDN="ignored",
    )
    assert settings.node.fqdn == "sbc2.contoso.example"
    assert settings.node.log.level == "debug"
    assert settings.trunk("teams-1").allow_refer
    assert settings.trunk("talkdesk").sources == ("192.0.2.0/24", "198.51.100.7/32")
    assert settings.media.port_max == 31000
    assert settings.dns.static == {"hub.contoso.example": ("192.0.2.9",)}


def test_a_process_environment_is_never_read_behind_the_loaders_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE__NODE__NAME", "leaked")
    assert load(folder).node.name == "trunkline"


def test_a_secret_comes_from_a_file_without_its_line_end(folder: Path) -> None:
    (folder / "password").write_text("s3cret \n")
    text = MINIMAL + 'auth_username = "u"\nauth_password_file = "password"\n'
    password = load(folder, text).trunk("talkdesk").auth_password
    assert password is not None
    assert password.get_secret_value() == "s3cret "
    assert "s3cret" not in repr(load(folder, text))


def test_a_secret_in_the_environment_replaces_the_files(folder: Path) -> None:
    (folder / "password").write_text("new")
    text = MINIMAL + 'auth_username = "u"\nauth_password = "old"\n'
    given = load(folder, text, TRUNKLINE__TRUNKS__TALKDESK__AUTH_PASSWORD_FILE="password")
    password = given.trunk("talkdesk").auth_password
    assert password is not None
    assert password.get_secret_value() == "new"
    text = text.replace('auth_password = "old"', 'auth_password_file = "password"')
    given = load(folder, text, TRUNKLINE__TRUNKS__TALKDESK__AUTH_PASSWORD="direct")
    password = given.trunk("talkdesk").auth_password
    assert password is not None
    assert password.get_secret_value() == "direct"


def test_digest_users_have_their_secrets_from_files(folder: Path) -> None:
    (folder / "u1").write_text("one")
    text = (
        MINIMAL + 'digest_required = true\n[[trunks.digest_users]]\nusername = "u1"\npassword_file = "u1"\n'
    )
    (user,) = load(folder, text).trunk("talkdesk").digest_users
    assert user.password.get_secret_value() == "one"


def test_rtpengine_needs_no_media_address(folder: Path) -> None:
    text = MINIMAL.replace(
        'address = "192.0.2.1"', 'engine = "rtpengine"\nng = ["127.0.0.1:2223", "[::1]:2223"]'
    )
    assert load(folder, text).media.ng_endpoints == (("127.0.0.1", 2223), ("::1", 2223))


def test_the_sample_file_is_right(folder: Path) -> None:
    text = (ROOT / "config/sample.toml").read_text()
    (folder / "certificates").mkdir()
    for name in ("certificates/fullchain.pem", "certificates/privkey.pem"):
        (folder / name).write_text("x")
    settings = load(folder, text)
    assert [trunk.name for trunk in settings.trunks] == ["teams", "talkdesk"]


def test_a_loaded_file_that_is_missing_or_no_text_is_one_problem(folder: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_settings(folder / "nowhere.toml", {})
    (folder / "binary.toml").write_bytes(b'a = 1\nb = "\xff"\n')
    with pytest.raises(ConfigError, match=r"binary\.toml:2: is not UTF-8"):
        load_settings(folder / "binary.toml", {})


def test_the_reference_page_is_up_to_date() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    assert page == reference(), "run: python -m config.reference > docs/configuration.md"
