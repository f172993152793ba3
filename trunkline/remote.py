"""The commands that speak to a running node over its HTTP interface: `status` and `drain`."""

import json
import urllib.error
import urllib.request
from typing import Any

import typer

TIMEOUT_S = 5.0


class NodeError(OSError):
    """The node cannot be reached, or refuses; the sentence says which."""


def status(url: str, *, as_json: bool) -> int:
    """Print the node's state; 0 when it is ready."""
    state = _ask("GET", f"{url}/api/v1/status")
    if as_json:
        typer.echo(json.dumps(state, indent=2))
    else:
        for line in _lines(state):
            typer.echo(line)
    return 0 if state.get("ready") else 1


def drain(url: str, *, as_json: bool) -> int:
    """Ask the node to drain; 0 when it does."""
    answer = _ask("POST", f"{url}/api/v1/drain")
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        typer.echo(f"The node drains; {answer.get('active_calls', 0)} calls in progress.")
    return 0


def _lines(state: dict[str, Any]) -> list[str]:
    ready = "ready" if state.get("ready") else f"not ready: {'; '.join(state.get('reasons', []))}"
    name, version, phase = state.get("node"), state.get("version"), state.get("phase")
    lines = [
        f"{name} ({state.get('fqdn')}), version {version}: {phase}, {ready}",
        f"calls in progress: {state.get('active_calls')}, up for {state.get('uptime_s', 0):.0f} s",
    ]
    for trunk in state.get("trunks", []):
        lines.append(f"trunk {trunk['name']} ({trunk['kind']}): {trunk['state']}")
        lines += [
            f"  {peer['peer']}: {'up' if peer['up'] else 'down'}, {peer['reason']}" for peer in trunk["peers"]
        ]
    lines += [
        f"certificate {item['name']}: {item['days_left']:.0f} days left"
        for item in state.get("certificates", [])
    ]
    lines += [
        f"directory of {item['tenant']}: {item['people']} people, {item['findings']} findings"
        for item in state.get("directories", [])
    ]
    lines += [
        f"media engine {item['engine']}: {'up' if item['up'] else 'down ' + item['reason']}"
        for item in state.get("media", [])
    ]
    return lines


def _ask(method: str, url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise NodeError(f"{url!r} is not an HTTP address")
    request = urllib.request.Request(url, method=method, data=b"" if method == "POST" else None)  # noqa: S310 - checked above
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({})
    )  # a node is never behind the user's proxy
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            value = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise NodeError(f"{url} answered {error.code}: {_detail(error.read())}") from None
    except urllib.error.URLError as error:
        raise NodeError(f"no node answers at {url}: {error.reason}") from None
    except ValueError:
        raise NodeError(f"{url} is not a node's interface") from None
    if not isinstance(value, dict):
        raise NodeError(f"{url} is not a node's interface")
    return value


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
