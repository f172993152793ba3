"""What all sections share: frozen, strict about keys, described by their attribute docstrings.

Also the value types that several sections use. Each refuses a wrong value with a sentence an admin can act
on; none looks at the network or the disk (that is `config.checks`).
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_PREFIX = re.compile(r"(\+?[0-9]+[xX]*|\+)\*?\Z|\*\Z")


class Section(BaseModel):
    """A table of the configuration file; unknown keys are errors and values cannot be changed once loaded."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True
    )


def is_ip(text: str) -> bool:
    """Tell whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_dns_name(text: str) -> bool:
    """Tell whether the text is a host name (RFC 1123), not an IP address."""
    return (
        len(text) <= 253
        and not is_ip(text)
        and all(_LABEL.match(label) for label in text.rstrip(".").split("."))
        and not text.rsplit(".", 1)[-1].isdigit()
    )


def _host(text: str) -> str:
    if is_ip(text) or is_dns_name(text):
        return text.lower().rstrip(".")
    raise ValueError(f"{text!r} is neither a host name nor an IP address")


def _dns_name(text: str) -> str:
    if is_ip(text):
        raise ValueError(f"{text!r} is an IP address; a DNS name is needed")
    if not is_dns_name(text):
        raise ValueError(f"{text!r} is not a DNS name")
    return text.lower().rstrip(".")


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def _cidr(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        if "host bits" in str(error):
            right = ipaddress.ip_network(text, strict=False)
            raise ValueError(f"{text!r} has host bits set; write {str(right)!r}") from None
        raise ValueError(f"{text!r} is not an address range (write 192.0.2.0/24 or one address)") from None


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError(f"{text!r} is not a name: letters, digits, '.', '_' and '-', at most 63 characters")
    return text


def _prefix(text: str) -> str:
    compact = re.sub(r"[\s().-]", "", text)
    if not _PREFIX.match(compact):
        raise ValueError(f"{text!r} is not a number prefix (write '+1425555', '+142555501xx' or '*')")
    return compact


def _path(value: object) -> object:
    if isinstance(value, str) and not value:
        raise ValueError("the path is empty")
    return value


def _tuple(value: Any) -> Any:
    """Take one string where a list of strings is meant: the most common slip of the pen in TOML."""
    return (value,) if isinstance(value, str) else value


Host = Annotated[str, AfterValidator(_host)]
"""A host name or an IP address."""
DnsName = Annotated[str, AfterValidator(_dns_name)]
"""A host name that is not an IP address."""
IpAddress = Annotated[str, AfterValidator(_ip)]
"""An IPv4 or IPv6 address in its canonical text form."""
Cidr = Annotated[str, AfterValidator(_cidr)]
"""An address range, as 192.0.2.0/24 or one address."""
Name = Annotated[str, AfterValidator(_name)]
"""The name of a thing in the configuration, used in logs, metrics and references."""
NumberPrefix = Annotated[str, AfterValidator(_prefix)]
"""The beginning of a telephone number, a pattern with `x` for any digit, or `*` for every number."""
FilePath = Annotated[Path, BeforeValidator(_path)]
"""A path; relative ones are relative to the configuration file."""
Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP or UDP port."""
PortOrFree = Annotated[int, Field(ge=0, le=65535)]
"""A TCP or UDP port; 0 takes any free one."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A duration in seconds, more than 0."""
SecondsOrOff = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A duration in seconds; 0 switches the thing off."""
Count = Annotated[int, Field(ge=1)]
"""A number of things, at least 1."""
Transport = Literal["udp", "tcp", "tls"]
"""How SIP is carried."""
Texts = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
"""A list of texts."""
Hosts = Annotated[tuple[Host, ...], BeforeValidator(_tuple)]
"""A list of host names or addresses."""
IpAddresses = Annotated[tuple[IpAddress, ...], BeforeValidator(_tuple)]
"""A list of addresses."""
Cidrs = Annotated[tuple[Cidr, ...], BeforeValidator(_tuple)]
"""A list of address ranges."""
Names = Annotated[tuple[Name, ...], BeforeValidator(_tuple)]
"""A list of names of other things in the configuration."""
NumberPrefixes = Annotated[tuple[NumberPrefix, ...], BeforeValidator(_tuple)]
"""A list of number prefixes."""
