"""Every mistake is named with its line and in words, all of them at once."""

from pathlib import Path

import pytest

from config import ConfigError, Problem, load_settings

GOOD = """\
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

[[trunks]]
name = "teams"
kind = "teams"

[[trunks]]
name = "talkdesk"
kind = "talkdesk"
sources = ["203.0.113.0/24"]
targets = ["sip:203.0.113.5;transport=udp"]
"""


def problems(tmp_path: Path, text: str, **env: str) -> tuple[Problem, ...]:
    for name in ("chain.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    file = tmp_path / "t.toml"
    file.write_text(text)
    try:
        load_settings(file, env)
    except ConfigError as error:
        return error.problems
    return ()


def test_the_good_file_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD) == ()


def test_all_problems_are_named_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        GOOD.replace("fqdn =", "fqnd =").replace("port = 5061", 'port = "many"').replace('"teams"', '"teems"')
    )
    found = problems(tmp_path, text)
    assert [(p.line, p.path) for p in found] == [
        (1, "node: fqdn"),
        (2, "node: fqnd"),
        (11, 'listeners "tls": port'),
        (27, 'trunks "teems": kind'),
    ]
    words = {p.path: p.message for p in found}
    assert words["node: fqnd"] == "unknown key; did you mean fqdn?"
    assert words["node: fqdn"] == "is missing"
    assert words['trunks "teems": kind'] == "must be 'teams' or 'talkdesk'"
    assert "integer" in words['listeners "tls": port']


CASES = [
    # (what is replaced, by what, line, path, words in the message)
    ('certificate = "main"\n', "", 8, 'listeners "tls"', "needs a certificate"),
    ('certificate = "main"', 'certificate = "mian"', 12, 'listeners "tls": certificate', "there are: main"),
    (
        'transport = "udp"\nport',
        'transport = "udp"\ncertificate = "main"\nport',
        17,
        'listeners "udp": certificate',
        "no cert",
    ),
    ('name = "udp"', 'name = "tls"', 15, 'listeners "tls": name', "used twice"),
    (
        "[media]",
        '[[listeners]]\nname = "x"\ntransport = "tcp"\nport = 5061\n[media]',
        22,
        'listeners "x": port',
        "already taken",
    ),
    (
        "[media]",
        '[[listeners]]\nname = "x"\ntransport = "tcp"\nport = 8080\n[media]',
        None,
        "http: port",
        "already taken",
    ),
    (
        'transport = "udp"\nport = 5060',
        'transport = "udp"\nport = 30001',
        19,
        "media: port_min",
        "holds port 30001",
    ),
    ('address = "192.0.2.1"', "", 19, "media: address", "is missing"),
    ('address = "192.0.2.1"', 'address = "192.0.2.300"', 20, "media: address", "not an IP address"),
    (
        'address = "192.0.2.1"',
        'address = "192.0.2.1"\nport_min = 4000\nport_max = 4001',
        22,
        "media: port_max",
        "no room",
    ),
    ('address = "192.0.2.1"', 'address = "192.0.2.1"\nng = ["127.0.0.1:2223"]', 21, "media: ng", "only used"),
    ('address = "192.0.2.1"', 'engine = "rtpengine"', 20, "media: engine", "at least one"),
    (
        'address = "192.0.2.1"',
        'engine = "rtpengine"\nng = "127.0.0.1"',
        21,
        "media: ng (item 1)",
        "not an address",
    ),
    ("sources = [", "tenant = 5\nsources = [", 32, 'trunks "talkdesk": tenant', "must be a text"),
    (
        "sources = [",
        'tenant = "fabrikam"\nsources = [',
        32,
        'trunks "talkdesk": tenant',
        "there are: contoso",
    ),
    (
        '["203.0.113.0/24"]',
        '["203.0.113.1/24"]',
        32,
        'trunks "talkdesk": sources (item 1)',
        "write '203.0.113.0/24'",
    ),
    (
        '["203.0.113.0/24"]',
        '["teams.example"]',
        32,
        'trunks "talkdesk": sources (item 1)',
        "not an address range",
    ),
    ('["203.0.113.0/24"]', "[]", 32, 'trunks "talkdesk": sources', "nobody could call in"),
    (
        '["203.0.113.0/24"]',
        '["203.0.113.0/24"]\nsession = 1',
        33,
        'trunks "talkdesk": session',
        "unknown key",
    ),
    ('["sip:203.0.113.5;transport=udp"]', '["sip:@;x"]', 33, 'trunks "talkdesk": targets', "is not a target"),
    (
        '["sip:203.0.113.5;transport=udp"]',
        '["h:99999"]',
        33,
        'trunks "talkdesk": targets',
        "not between 1 and 65535",
    ),
    ("transport=udp", "transport=tls", 33, 'trunks "talkdesk": targets', "accepted_sans"),
    (
        "sources = [",
        "digest_required = true\nsources = [",
        32,
        'trunks "talkdesk": digest_required',
        "no digest_users",
    ),
    (
        "sources = [",
        'auth_username = "u"\nsources = [',
        32,
        'trunks "talkdesk": auth_username',
        "auth_password is missing",
    ),
    (
        "sources = [",
        'numbers = ["abc"]\nsources = [',
        32,
        'trunks "talkdesk": numbers (item 1)',
        "not a number prefix",
    ),
    (
        "sources = [",
        'default_caller_number = "5550100"\nsources = [',
        32,
        'trunks "talkdesk": default_caller_number',
        "pattern",
    ),
    ('"sbc1.contoso.example"', '"192.0.2.1"', 2, "node: fqdn", "IP address"),
    ('"sbc1.contoso.example"', '"sbc1"', 2, "node: fqdn", "no domain"),
    ('"sbc1.contoso.example"', '"sbc1.contoso.onmicrosoft.com"', 2, "node: fqdn", "onmicrosoft"),
    ('"sbc1.contoso.example"', f'"{"a" * 52}.contoso.example"', 2, "node: fqdn", "63 at most"),
    ('"sbc1.contoso.example"', '"not a host"', 2, "node: fqdn", "neither a host name"),
    (
        'kind = "teams"',
        'kind = "teams"\nreuse_inbound = true',
        28,
        'trunks "teams": reuse_inbound',
        "takes no requests",
    ),
    (
        'kind = "teams"',
        'kind = "teams"\naccepted_sans = []',
        28,
        'trunks "teams": accepted_sans',
        "name the hub",
    ),
    ('kind = "teams"', 'kind = "teams"\ntransport = "udp"', 28, 'trunks "teams": transport', "TLS only"),
    (
        'kind = "teams"',
        'kind = "teams"\noptions_interval_s = 600',
        28,
        'trunks "teams": options_interval_s',
        "60 to 180",
    ),
    ('kind = "teams"', 'kind = "teams"\ntargets = []', 28, 'trunks "teams": targets', "at least one hub"),
    (
        'kind = "teams"',
        'kind = "teams"\naccept_on = ["tls", "udp"]',
        28,
        'trunks "teams": accept_on',
        "no TLS listener",
    ),
    (
        'kind = "teams"',
        'kind = "teams"\nlistener = "udp"',
        28,
        'trunks "teams": listener',
        "is a udp listener",
    ),
    (
        'kind = "teams"',
        'kind = "teams"\nca_file = "nowhere.pem"',
        28,
        'trunks "teams": ca_file',
        "does not exist",
    ),
    ('kind = "teams"', 'kind = "teams"\nca_file = "."', 28, 'trunks "teams": ca_file', "is not a file"),
    (
        'kind = "teams"',
        'kind = "teams"\nmedia_interface = "lan"',
        28,
        'trunks "teams": media_interface',
        "no interface is named",
    ),
    ('"chain.pem"', '"other.pem"', 5, "certificates: main: chain", "does not exist"),
    ('name = "contoso"', 'name = "contoso"\n[[tenants]]\nname = "b"\n', None, "", ""),
    (
        'name = "contoso"',
        'name = "contoso"\ndirectory = "chain.pem"',
        24,
        'tenants "contoso": directory',
        ".csv or a .toml",
    ),
    ('name = "contoso"', 'name = "contoso"\nregion = "usa"', 24, 'tenants "contoso": region', "pattern"),
    ("[media]", "[timers]\nt1_s = 5\nt2_s = 1\n[media]", 21, "timers: t2_s", "must not be less"),
    (
        "[media]",
        "[limits]\nhandshakes = 5\n[media]",
        None,
        "limits: handshakes_per_source",
        "more than handshakes",
    ),
    (
        "[media]",
        '[dns.static]\n"a.example" = "x"\n[media]',
        20,
        "dns: static: a.example (item 1)",
        "not an IP",
    ),
    ("[media]", "[[media]]", 19, "media", "must be a table"),
    ("[node]", "node = 5\n[nod]", 1, "node", "must be a table"),
]


@pytest.mark.parametrize(("old", "new", "line", "path", "words"), CASES)
def test_a_mistake_is_named(
    tmp_path: Path, old: str, new: str, line: int | None, path: str, words: str
) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert found
    if path:
        fitting = [problem for problem in found if problem.path == path and words in problem.message]
        assert fitting, [str(problem) for problem in found]
        if line is not None:
            assert fitting[0].line == line, str(fitting[0])


def test_two_trunks_that_nothing_tells_apart_contradict(tmp_path: Path) -> None:
    third = GOOD + '\n[[trunks]]\nname = "other"\nkind = "talkdesk"\ntenant = "contoso"\nlistener = "udp"\n'
    (found,) = problems(tmp_path, third + 'sources = ["203.0.113.128/25"]\n')
    assert (found.line, found.path) == (40, 'trunks "other": sources')
    assert "203.0.113.128/25 belongs to trunk 'talkdesk' too" in found.message
    assert problems(tmp_path, third + 'sources = ["203.0.114.0/24"]\n') == ()
    apart = third.replace("targets =", 'accept_on = ["udp"]\ntargets =')
    assert problems(tmp_path, apart + 'accept_on = ["tls"]\nsources = ["203.0.113.128/25"]\n') == ()


def test_a_certificate_rule_tells_trunks_on_the_same_addresses_apart(tmp_path: Path) -> None:
    text = GOOD.replace('kind = "teams"', 'kind = "teams"\nsources = ["203.0.113.0/24"]')
    assert problems(tmp_path, text) == ()
    second = '\n[[trunks]]\nname = "other"\nkind = "teams"\nsources = ["203.0.113.0/24"]\n'
    (found,) = problems(tmp_path, text + second)
    assert "'teams'" in found.message
    assert problems(tmp_path, text + second + 'accepted_sans = ["hub.fabrikam.example"]\n') == ()


def test_problems_of_the_environment_name_the_variable(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        GOOD,
        TRUNKLINE__NODE__FQND="x",
        TRUNKLINE__TRUNKS__NOBODY__FQDN="x",
        TRUNKLINE__NODE__FQDN__X="y",
        TRUNKLINE__LISTENERS="[",
        TRUNKLINE__LISTENERS__TLS="{}",
        TRUNKLINE__MEDIA__PORT_MIN="0",
        TRUNKLINE__="x",
    )
    words = {problem.where: problem.message for problem in found}
    assert words["TRUNKLINE__NODE__FQND"] == "there is no setting node.fqnd"
    assert "no item 'NOBODY'" in words["TRUNKLINE__TRUNKS__NOBODY__FQDN"]
    assert "is a value" in words["TRUNKLINE__NODE__FQDN__X"]
    assert "JSON" in words["TRUNKLINE__LISTENERS"]
    assert "name an item and a key" in words["TRUNKLINE__LISTENERS__TLS"]
    assert "greater than or equal to 1" in words["TRUNKLINE__MEDIA__PORT_MIN"]
    assert all(problem.line is None for problem in found)
    assert "TRUNKLINE__" in words


def test_secret_files_that_cannot_serve_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "huge").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, words in [
        ("nowhere", "cannot read"),
        ("empty", "is empty"),
        ("huge", "larger than"),
        ("binary", "not UTF-8"),
        ("", "must be the path"),
    ]:
        found = problems(tmp_path, GOOD + f'auth_username = "u"\nauth_password_file = "{name}"\n')
        assert [problem.path for problem in found] == ['trunks "talkdesk": auth_password_file'], name
        assert words in found[0].message
        assert found[0].line == 35
    found = problems(
        tmp_path, GOOD + 'auth_username = "u"\nauth_password = "hush"\nauth_password_file = "empty"\n'
    )
    assert "both" in found[0].message
    assert "hush" not in str(found)


def test_a_wrong_secret_never_stands_in_a_message(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD + "auth_username = 'u'\nauth_password = ['hush']\n")
    assert found
    assert "hush" not in "".join(map(str, found))


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "[node]\nfqdn = \n")
    assert found.line == 2
    assert found.message.startswith("not valid TOML: ")
    assert str(found).startswith(f"{tmp_path / 't.toml'}:2: ")


def test_an_empty_file_says_what_is_missing(tmp_path: Path) -> None:
    assert {problem.path for problem in problems(tmp_path, "")} == {"node", "listeners", "tenants", "trunks"}
