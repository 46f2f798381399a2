"""Batteries: ready-made steps, registered by name through the public registry.

- `files`: ``read_lines read_jsonl read_csv glob write_lines write_jsonl write_csv
  stdin stdout``
- `flow`: ``batch dedupe flatten sample tee_count throttle``
- `http`: ``http_get`` (needs aiohttp, which the extra ``http`` brings)
- `notifying`: ``notify`` (for apprise URLs it needs the extra ``notify``)
- `redis`: ``redis_read redis_write redis_ack`` (need redis, which the extra ``redis`` brings)
- `uploading`: ``upload`` (needs fsspec, which the extra ``storage`` brings)

``func: read_lines`` and ``func: "pipelines.steps.files:read_lines"`` mean the same.
"""

from pipelines.steps import files, flow, http, notifying, redis, uploading

__all__ = ["files", "flow", "http", "notifying", "redis", "uploading"]
