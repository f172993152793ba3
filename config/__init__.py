"""Settings: one frozen model, read from a TOML file, the environment and secret files.

A mistake is never guessed at: every unknown key and every contradiction is named with its line, all of them
at once, in words for the person who keeps the file. This room knows what may be configured, not what is done
with it.
"""

from config.errors import ConfigError, Problem
from config.load import load_settings
from config.media import Media, MediaInterface
from config.sections import (
    Certificate,
    Dns,
    Http,
    Limits,
    Listener,
    Log,
    Node,
    Timers,
)
from config.settings import Settings
from config.trunks import DigestUser, Target, Tenant, Trunk

__all__ = [
    "Certificate",
    "ConfigError",
    "DigestUser",
    "Dns",
    "Http",
    "Limits",
    "Listener",
    "Log",
    "Media",
    "MediaInterface",
    "Node",
    "Problem",
    "Settings",
    "Target",
    "Tenant",
    "Timers",
    "Trunk",
    "load_settings",
]
