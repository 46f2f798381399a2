"""The program of one node: Ray's own command line, which ends when the process that wants it does.

As ``python -m pipelines.engines.cluster.node [--loopback] start …``; `plumber worker` runs it. It
reads its standard input and, once that is closed, ends as on SIGTERM: so no node outlives a
`plumber worker` that was killed. It ends the processes of its own node and no others, which
``ray stop`` would.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from pipelines.engines.cluster.loopback import on_loopback


def main() -> None:
    """Run Ray's command line on the arguments of this process."""
    from ray.scripts import scripts

    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Ray would start the server of another protocol, on one more port, where grpc is installed.
    scripts.get_ray_client_dependency_error = lambda: "not wanted here"
    loopback = "--loopback" in sys.argv[1:2]
    if loopback:
        del sys.argv[1]
    with on_loopback(loopback):
        scripts.main()


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
