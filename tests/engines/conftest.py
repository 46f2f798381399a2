"""One cluster for all that only looks at it or runs something there: to start one takes long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines.clusters import ClusterOfNodes, running_cluster


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterOfNodes]:
    """Run a first node and two workers, one of which the last test of all may end."""
    folder = tmp_path_factory.mktemp("cluster")
    workers = ["testing"], ["production", "büro 1"], ["production"]
    with running_cluster(folder, *workers) as found:
        yield found
