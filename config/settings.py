"""The whole configuration as one frozen value.

`resolve_defaults` fills what follows from the rest (a trunk's tenant when there is only one, its listener,
its certificate), so that readers of a `Settings` never have to ask "and if it is missing?".
"""

from typing import Any, Protocol, TypeVar

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.base import Name
from config.media import Media
from config.sections import Certificate, Dns, Http, Limits, Listener, Node, Timers
from config.trunks import KIND_DEFAULTS, Tenant, Trunk

Tree = dict[str, Any]


class Settings(BaseSettings):
    """Everything that can be configured. Made by `config.load_settings`, never changed afterwards."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        env_prefix="TRUNKLINE__",
        env_nested_delimiter="__",
    )

    node: Node
    """This node: the name that peers know it by, and how it stops."""
    http: Http = Http()
    """The HTTP port for metrics, health and the REST interface."""
    certificates: dict[Name, Certificate] = Field(default_factory=dict)
    """Certificates that the node presents, by name."""
    listeners: tuple[Listener, ...] = Field(min_length=1)
    """Sockets that SIP arrives at."""
    limits: Limits = Limits()
    """What the node allows peers, all of them together."""
    timers: Timers = Timers()
    """SIP timers, and how long people are waited for."""
    dns: Dns = Dns()
    """How names are resolved."""
    media: Media = Media()
    """The media engine."""
    tenants: tuple[Tenant, ...] = Field(min_length=1)
    """Customers."""
    trunks: tuple[Trunk, ...] = Field(min_length=1)
    """Peers."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what the loader hands in: it knows each value's origin, other sources do not."""
        return (init_settings,)

    def listener(self, name: str) -> Listener:
        """Give the listener of that name; raises KeyError."""
        return _by_name(self.listeners, name)

    def tenant(self, name: str) -> Tenant:
        """Give the tenant of that name; raises KeyError."""
        return _by_name(self.tenants, name)

    def trunk(self, name: str) -> Trunk:
        """Give the trunk of that name; raises KeyError."""
        return _by_name(self.trunks, name)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Item = TypeVar("_Item", bound=_Named)


def _by_name(items: tuple[_Item, ...], name: str) -> _Item:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)


def resolve_defaults(tree: Tree) -> Tree:
    """Fill in what the rest of the tree decides: a trunk's tenant, FQDN, listeners, transport, certificate.

    Works on the raw tree, before validation, and leaves alone whatever has not the right shape: validation
    names it.
    """
    trunks = tree.get("trunks")
    if not isinstance(trunks, list):
        return tree
    listeners = [item for item in _dicts(tree.get("listeners")) if isinstance(item.get("name"), str)]
    tenants = [item.get("name") for item in _dicts(tree.get("tenants"))]
    node = tree.get("node")
    known: Tree = {"fqdn": node["fqdn"]} if isinstance(node, dict) and "fqdn" in node else {}
    if len(tenants) == 1 and tenants[0] is not None:
        known["tenant"] = tenants[0]
    filled = [_filled_trunk(item, known, listeners) if isinstance(item, dict) else item for item in trunks]
    return {**tree, "trunks": filled}


def _filled_trunk(trunk: Tree, known: Tree, listeners: list[Tree]) -> Tree:
    kind = trunk.get("kind")
    given = {**(KIND_DEFAULTS.get(kind, {}) if isinstance(kind, str) else {}), **known, **trunk}
    if "transport" not in given:
        transport = _first_transport(given, listeners)
        if transport is not None:
            given["transport"] = transport
    if "accept_on" not in given:
        fitting = [item["name"] for item in listeners if kind != "teams" or item.get("transport") == "tls"]
        given["accept_on"] = fitting
    if "listener" not in given:
        same = [item["name"] for item in listeners if item.get("transport") == given.get("transport")]
        if len(same) == 1:
            given["listener"] = same[0]
    if "certificate" not in given and given.get("transport") == "tls":
        for item in listeners:
            if item["name"] == given.get("listener") and item.get("certificate") is not None:
                given["certificate"] = item["certificate"]
    return given


def _first_transport(trunk: Tree, listeners: list[Tree]) -> object:
    """Give the transport of the trunk's listener, of its first target, or of the only listener there is."""
    for item in listeners:
        if item["name"] == trunk.get("listener"):
            return item.get("transport")
    targets = trunk.get("targets")
    first = targets[0] if isinstance(targets, list | tuple) and targets else targets
    if isinstance(first, str):
        named = first.lower().rpartition(";transport=")[2] if ";transport=" in first.lower() else ""
        if named in {"udp", "tcp", "tls"}:
            return named
    transports = {item.get("transport") for item in listeners}
    return transports.pop() if len(transports) == 1 else None


def _dicts(value: object) -> list[Tree]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
