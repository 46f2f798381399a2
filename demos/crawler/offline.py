"""Run the crawler against a service on this machine: ``python demos/crawler/offline.py``.

The crawler's code is run as it stands, with the address of the real service replaced.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

from site_of_services import REAL, Site

CRAWLER = Path(__file__).with_name("crawler.py")


def crawler(url: str) -> ModuleType:
    """Return the crawler as a module that asks the service at `url`.

    Raises:
        ValueError: the crawler does not name the real service.
    """
    source = CRAWLER.read_text()
    if REAL not in source:
        raise ValueError(f"{CRAWLER.name} does not mention {REAL}")
    module = ModuleType("crawler")
    exec(compile(source.replace(REAL, url), str(CRAWLER), "exec"), module.__dict__)
    return module


async def main() -> None:
    """Crawl, and say what the service saw."""
    async with Site() as site:
        await crawler(site.url).main()
        print(f"served {site.requests} requests, up to {site.most} at once")


if __name__ == "__main__":
    asyncio.run(main())
