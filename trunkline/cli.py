"""The command line: reads arguments and prints; the rest is loaded lazily, so that `--help` is instant.

Exit codes: 0 all is well, 1 it failed (for `check`: the number of failures, 100 at most), 2 the command or
the configuration cannot be used. Errors are sentences on standard error, never tracebacks.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from config import ConfigError, Settings, load_settings
from config.environment import CONFIG_VARIABLE
from trunkline import __version__

FAILED = 1
UNUSABLE = 2

app = typer.Typer(
    name="trunkline",
    help="A session border controller between Talkdesk and Microsoft Teams.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path,
    typer.Option("--config", "-c", envvar=CONFIG_VARIABLE, help="The configuration file (TOML)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="The node's HTTP address; taken from --config, else http://127.0.0.1:8080."),
]
OptionalConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar=CONFIG_VARIABLE, help="The node's configuration file, to find its HTTP port."
    ),
]


def main() -> None:
    """Run the command line; never returns normally."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"trunkline {__version__}")
        raise typer.Exit


@app.command()
def run(config: ConfigOption, as_json: JsonOption = False) -> None:
    """Run the service. SIGTERM drains it, a second one stops it at once. --json: the log as JSON."""
    settings = _load(config, as_json=as_json)
    if as_json:
        log = settings.node.log.model_copy(update={"format": "json"})
        settings = settings.model_copy(update={"node": settings.node.model_copy(update={"log": log})})
    raise typer.Exit(_call("trunkline.app", "run", settings))


@app.command()
def check(
    config: ConfigOption,
    as_json: JsonOption = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave out what needs the network: DNS and the hubs.")
    ] = False,
) -> None:
    """Say what is wrong before a call fails: one line each, the exit code is the number of failures."""
    settings = _load(config, as_json=as_json)
    raise typer.Exit(_call("trunkline.check", "main", settings, as_json=as_json, offline=offline))


@app.command()
def sandbox(as_json: JsonOption = False) -> None:
    """Run the whole system on this machine against a simulated Teams, and print whom to call."""
    raise typer.Exit(_call("sandbox.run", "main", as_json=as_json))


@app.command()
def call(
    target: Annotated[str, typer.Argument(help="Whom to call: a number, an e-mail address or an extension.")],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar=CONFIG_VARIABLE,
            help="The node's configuration file; else the sandbox's.",
        ),
    ] = None,
    transport: Annotated[
        str | None, typer.Option(help="How to reach the node: udp, tcp or tls; else as the trunk's listener.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long to listen after the answer.", min=1.0, max=60.0)
    ] = 3.0,
    number: Annotated[str, typer.Option("--from", help="The caller's number.")] = "+14255550190",
    as_json: JsonOption = False,
) -> None:
    """Place a real test call through the running node: set-up time, both audio directions and the ladder."""
    options = {"config": config, "transport": transport, "seconds": seconds, "number": number}
    raise typer.Exit(_call("sandbox.testcall", "main", target, as_json=as_json, **options))


@app.command()
def status(url: UrlOption = None, config: OptionalConfig = None, as_json: JsonOption = False) -> None:
    """Show what the running node is doing; exit code 0 only when it is ready for calls."""
    raise typer.Exit(_call("trunkline.remote", "status", _url(url, config), as_json=as_json))


@app.command()
def drain(url: UrlOption = None, config: OptionalConfig = None, as_json: JsonOption = False) -> None:
    """Let the running node finish its calls and stop; no new call is taken. Only from the same machine."""
    raise typer.Exit(_call("trunkline.remote", "drain", _url(url, config), as_json=as_json))


def _load(path: Path, *, as_json: bool) -> Settings:
    try:
        return load_settings(path, os.environ)
    except ConfigError as error:
        if as_json:
            _echo_json(
                {
                    "ok": False,
                    "problems": [
                        {"where": item.where, "line": item.line, "path": item.path, "message": item.message}
                        for item in error.problems
                    ],
                }
            )
        else:
            for problem in error.problems:
                typer.echo(str(problem), err=True)
            count = len(error.problems)
            typer.echo(f"The configuration has {count} problem{'' if count == 1 else 's'}.", err=True)
        raise typer.Exit(UNUSABLE) from None


def _url(url: str | None, config: Path | None) -> str:
    if url is not None:
        return url.rstrip("/")
    if config is None:
        return "http://127.0.0.1:8080"
    http = _load(config, as_json=False).http
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.address, http.address)  # noqa: S104 - to call, not to bind
    return f"http://[{host}]:{http.port}" if ":" in host else f"http://{host}:{http.port}"


def _call(module: str, function: str, *arguments: Any, **options: Any) -> int:
    """Call a command's function, loaded only now; give its exit code. Expected errors become sentences."""
    entry: Callable[..., int] = getattr(importlib.import_module(module), function)
    try:
        return entry(*arguments, **options)
    except OSError as error:
        typer.echo(f"trunkline: {error}", err=True)
        return FAILED


def _echo_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))
