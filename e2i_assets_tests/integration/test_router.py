"""The router as a process: it is there once it listens itself, or says why it does not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from e2i_assets.cli.ports import free_port, listen
from e2i_assets.deployment import processes
from e2i_assets.deployment.releases import DeploymentError
from e2i_assets.deployment.router import LOOPBACK, Router, configuration
from e2i_assets_tests.deployment_world import until


def test_a_port_of_somebody_else_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with listen(LOOPBACK, 0) as other:
        taken = int(other.getsockname()[1])
        router = Router(tmp_path, configuration(LOOPBACK, {"s": taken}, {"s": (1, 2)}))
        with pytest.raises(DeploymentError, match=rf"{taken}: Address already in use") as refused:
            router.open()
        assert "E2I_CLASSIFICATION_PORT" in refused.value.next_step
        assert not processes.marked(router.mark)
    router.open()
    try:
        with socket.create_connection((LOOPBACK, taken)):
            assert not router.ensure()
        for process in processes.marked(router.mark):
            process.kill()
        until(lambda: router.ensure(), "it is started again")
    finally:
        router.stop()
    assert not processes.marked(router.mark)


def test_one_that_ends_as_soon_as_it_is_started_is_told_of_and_not_started_in_a_storm(tmp_path: Path) -> None:
    document = configuration(LOOPBACK, {"s": free_port()}, {"s": (1, 2)})
    document["apps"]["http"]["servers"]["s"]["routes"] = "no routes"
    router = Router(tmp_path, document)
    assert router.ensure()
    until(lambda: not processes.marked(router.mark), "it ended")
    with pytest.raises(DeploymentError, match=r"does not start: .*routes"):
        router.ensure()


def test_two_routers_do_not_share_a_port(tmp_path: Path) -> None:
    """The system would let them, and deal out requests to both installations."""
    document = configuration(LOOPBACK, {"s": free_port()}, {"s": (1, 2)})
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = Router(tmp_path / "one", document), Router(tmp_path / "other", document)
    one.open()
    try:
        with pytest.raises(DeploymentError, match=r"cannot listen on .*: Address already in use"):
            other.open()
        # Both looked before either was there.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Router, "_require_free", lambda _: None)
            with pytest.raises(DeploymentError, match=r"another process listens on port \d+, too"):
                other.open()
        assert not processes.marked(other.mark)
        assert not one.ensure()
    finally:
        one.stop()
        other.stop()
