"""``plumber worker``: a node of a cluster, in the foreground."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Self

import click

from pipelines.cli import values
from pipelines.cli.app import option
from pipelines.cli.exits import complain, stop
from pipelines.errors import PipelinesError

if TYPE_CHECKING:
    from pipelines.engines.cluster.workers import Node

__all__ = ["command"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@click.command()
@option(
    "--head",
    is_flag=True,
    envvar="PLUMBER_WORKER_HEAD",
    help="Be the first node: the one that the others, and runs, come to.",
)
@option("--address", metavar="HOST:PORT", help="The first node's address, which it has printed.")
@option(
    "--scopes",
    metavar="A,B",
    callback=values.names,
    help="The scopes that it serves. A node without any serves what asks for no scope.",
)
@option(
    "--token-file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Where the cluster's token is. A first node writes a new one there if there is none.  "
    "[default: what RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH say, or ~/.ray/auth_token]",
)
@option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address by which other machines reach this one; by default none does.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port of a first node; 0 takes any that is free.  [default: 6380]",
)
@option(
    "--jobs-port",
    type=click.IntRange(0, 65535),
    help="Where a first node takes jobs, on 127.0.0.1; 0 takes any that is free.  [default: 8265]",
)
@option(
    "--cpus",
    type=click.IntRange(min=0),
    metavar="N",
    help="How many CPUs it says it has; by default those of the machine.",
)
@click.argument("options", nargs=-1, metavar="[-- OPTIONS OF RAY START]", type=click.UNPROCESSED)
def command(
    head: bool,
    address: str | None,
    scopes: list[str] | None,
    token_file: str | None,
    host: str,
    port: int | None,
    jobs_port: int | None,
    cpus: int | None,
    options: tuple[str, ...],
) -> None:
    """Be a node of a cluster, on which the nodes of graphs run, until Ctrl-C or SIGTERM.

    Whoever reaches a node and has the cluster's token can run code in it: see the wiki page
    Scale-out. It ends its own processes alone, whatever else of Ray runs on this machine.
    """
    from pipelines.engines.cluster.workers import JOBS_PORT, PORT, Node, Wanted

    _refuse_mixed(head, address, port, jobs_port)
    wanted = Wanted(
        scopes or (),
        address=address,
        host=host,
        port=PORT if port is None else port,
        jobs_port=JOBS_PORT if jobs_port is None else jobs_port,
        cpus=cpus,
        token_file=token_file,
        options=options,
    )
    code = 0
    with _Ending() as ending:
        ending.node = node = Node.start(wanted)
        try:
            node.wait_started()
            _announce(node, scopes or [])
            code = node.wait()
        except PipelinesError:
            if not ending.came:
                raise
        finally:
            node.close()
    if not ending.came:
        stop(f"the node has ended by itself (exit code {code}): {node.last_words()}")
    complain("the node has left the cluster")


def _refuse_mixed(head: bool, address: str | None, port: int | None, jobs_port: int | None) -> None:
    if head and address is not None:
        raise click.UsageError("--head makes a new cluster, --address joins one: give one of them")
    if not head and address is None:
        raise click.UsageError("say --head for the first node, or --address HOST:PORT to join one")
    for flag, value in (("--port", port), ("--jobs-port", jobs_port)):
        if not head and value is not None:
            raise click.UsageError(f"{flag} is for the first node, with --head")


class _Ending:
    """Lets SIGINT and SIGTERM end a node, once there is one."""

    def __init__(self) -> None:
        self.node: Node | None = None
        self.came = False

    def __enter__(self) -> Self:
        self._before = {each: signal.signal(each, self._end) for each in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, signum: int, frame: object) -> None:
        self.came = True
        if self.node is None:
            raise KeyboardInterrupt
        self.node.stop()


def _announce(node: Node, scopes: list[str]) -> None:
    serving = f"serving {', '.join(scopes)}" if scopes else "serving no scope"
    complain(f"node of the cluster at {node.address}, {serving}")
    if not node.token:
        return
    click.echo(node.address)
    complain(f"others join with: plumber worker --address {node.address} --scopes …")
    complain(f"and need its token, in {node.token}; on other machines name their copy --token-file")
    if node.jobs:
        complain(f"jobs are taken at http://{node.jobs}")
    else:
        complain("it takes no jobs: that needs pip install 'ray[default]'")
