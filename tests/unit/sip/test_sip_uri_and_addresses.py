"""URIs and the name-addr form."""

import contextlib
import time

import pytest

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.params import parse_params
from sbc.sip.uri import NameAddr, Uri, quote


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@b@c",
        "sip:h:",
        "sip:h:0",
        "sip:h:99999999999",
        "sip:a b@h",
        "sip:h;x y",
        "sip:[2001:db8::1",
        "sip:2001:db8::1",
        "sip:h<",
        'sip:"a"@h',
        "sip:h\r\n",
        "tel:",
        "tel:hello",
        "1a:x",
        "x:",
        "sip:a@h\x00",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        Uri.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "sip:api.contoso.example:443;x-i=1;x-c=a/d/8/b",
        "sip:*67#@h;user=phone",
        "SIPS:a:secret@h?subject=x&priority=y",
        "sip:h;x-tt=" + "QUJD" * 300 + "%3D",
        "sip:[2001:db8::1]:5061;lr",
        "tel:+1-425-555-0100;ext=1",
        "urn:service:sos",
        "sip:h;;lr",
        "sip:a_b.c-d",
    ],
)
def test_a_uri_writes_itself_as_it_was_read(text: str) -> None:
    assert str(Uri.parse(text)) == text


def test_parts_are_found_and_replaced() -> None:
    uri = Uri.parse("SIP:+14255550100;ext=7:pw@[2001:db8::1]:5061;Transport=TLS;lr?a=b")
    assert (uri.scheme, uri.user, uri.password) == ("sip", "+14255550100;ext=7", "pw")
    assert (uri.host, uri.port, uri.headers) == ("2001:db8::1", 5061, "a=b")
    assert uri.param("transport") == "TLS"
    assert uri.has_param("LR")
    assert uri.param("lr") is None
    changed = uri.replace(host="contoso.example", port=None, headers="", password=None).without_param("lr")
    assert str(changed) == "sip:+14255550100;ext=7@contoso.example;Transport=TLS"
    assert str(changed.with_params(user="phone", transport="tcp", x_i=None)).endswith(
        ";user=phone;transport=tcp;x-i"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.example;transport=TCP", "sip:alice@AtLanTa.example;Transport=tcp", True),
        ("sip:carol@chicago.example", "sip:carol@chicago.example;newparam=5", True),
        ("sip:carol@h;security=on", "sip:carol@h;newparam=5", True),
        ("sip:b@h;transport=tcp?to=x&from=y", "sip:b@h;transport=tcp?from=y&to=x", True),
        ("SIP:ALICE@h;transport=udp", "sip:alice@h;transport=UDP", False),
        ("sip:bob@h", "sip:bob@h:5060", False),
        ("sip:bob@h", "sip:bob@h;transport=udp", False),
        ("sip:carol@h", "sip:carol@h?Subject=next", False),
        ("sip:carol@h;security=on", "sip:carol@h;security=off", False),
        ("sip:a@h", "sips:a@h", False),
        ("tel:+1-425-555-0100", "tel:+14255550100", True),
        ("tel:+14255550100", "tel:+14255550101", False),
    ],
)
def test_comparison_follows_section_19_1_4(one: str, other: str, same: bool) -> None:
    assert Uri.parse(one).equivalent(Uri.parse(other)) is same
    assert Uri.parse(other).equivalent(Uri.parse(one)) is same


def test_a_uri_in_a_quoted_display_name_is_not_the_uri() -> None:
    address = NameAddr.parse('"x <sip:evil@b> \\" <sip:c@d>" <sip:a@h>;tag=t')
    assert (address.uri.host, address.tag, address.display) == ("h", "t", 'x <sip:evil@b> " <sip:c@d>')


@pytest.mark.parametrize(
    "text",
    [
        '"a" b <sip:a@h>',
        'a "b" <sip:a@h>',
        "<sip:a@h",
        "sip:a@h>",
        "<sip:a@h>x",
        "<<sip:a@h>>",
        "",
        "*",
        "<>",
        '"a <sip:a@h>',
        "<sip:a@h>;tag=a b",
        "<sip:a@h>;=x",
        '<sip:a@h>;x="y',
        "a <b> <sip:a@h>",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        NameAddr.parse(text)


def test_addr_spec_parameters_belong_to_the_header() -> None:
    address = NameAddr.parse("sip:a@h;tag=7")
    assert (address.tag, address.uri.params) == ("7", ())


def test_an_empty_tag_is_none_and_a_new_one_replaces_it() -> None:
    address = NameAddr.parse("Alice Example<sip:a@h>;tag=")
    assert address.tag is None
    assert str(address.with_tag("n")) == '"Alice Example" <sip:a@h>;tag=n'
    assert str(NameAddr.parse("Alice<sip:a@h>;x=1").with_tag("n")) == "Alice<sip:a@h>;x=1;tag=n"
    assert str(NameAddr.parse("<sip:a@h>;tag=1").without_tag()) == "<sip:a@h>"


def test_a_quoted_display_is_escaped_and_never_breaks_a_line() -> None:
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
    with pytest.raises(LocalError):
        str(NameAddr("a\r\nX: y", Uri("sip", host="h")))


def test_quoted_parameter_values_may_hold_anything() -> None:
    assert parse_params(' ; a="x;y,z" ;b ; c = 3;') == (("a", '"x;y,z"'), ("b", None), ("c", "3"))


@pytest.mark.parametrize(
    "text",
    [
        "<sip:a@h>" + ";a" * 4000,
        "<sip:a@h>;x=" + " " * 8000 + "y z",
        '"' + "\\" * 8001,
        " " * 8000 + "<",
        "a " * 4000,
        "<" * 8000,
        '<sip:a@h>;x="' + '\\"' * 4000,
        "sip:" + "a:" * 4000,
        "sip:" + "a@" * 4000,
    ],
)
def test_hostile_values_cost_little(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(ParseError):
        NameAddr.parse(text)
    assert time.process_time() - start < 0.1
