"""A Dask cluster that this installation has been given: where work that can be spread goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from e2i_assets.errors import E2IError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10.0
"""After which a scheduler that has not answered does not serve."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class ClusterUnavailable(E2IError, RuntimeError):
    """The cluster that work was to be spread over does not serve; nothing has been judged."""

    code = "cluster_unavailable"
    next_step = "Start the cluster or correct the address, or unset E2I_DASK_ADDRESS to work on this machine."
    on_data = False


class ClusterLost(ClusterUnavailable):
    """The cluster broke down during the work; trials that were finished are kept."""

    code = "cluster_lost"
    next_step = (
        "Give the workers more memory, or start them again, and run the same command: a study goes on with "
        "what is not done. Or unset E2I_DASK_ADDRESS to work on this machine."
    )


class Cluster:
    """A connection to a scheduler; each of its workers has this package.

    A worker that dies is no loss: what ran on it is run again on another, as often as the scheduler's
    `allowed-failures` says.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
        """What a function says of each task, in their order.

        Args:
            function: every worker gets it once, with all that it holds.

        Raises:
            ClusterLost: see `losses`.
        """
        with losses():
            sent = self.client.scatter(function, broadcast=True, hash=False)
            return self.client.gather([self.client.submit(_call, sent, task, pure=False) for task in tasks])


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """A cluster by the address of its scheduler.

    Raises:
        ClusterUnavailable: none answers.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterUnavailable("no Dask scheduler answers at E2I_DASK_ADDRESS") from error
    with client:
        yield Cluster(client)


@contextmanager
def losses() -> Iterator[None]:
    """Tells what a client raises when work is lost.

    Raises:
        ClusterLost: workers died at it again and again, or the scheduler is gone.
    """
    from distributed import CancelledError, KilledWorker

    try:
        yield
    except (KilledWorker, CancelledError, OSError) as error:
        raise ClusterLost("the Dask cluster lost what ran on it") from error


def _call(function: Callable[[Task], Result], task: Task) -> Result:
    return function(task)
