"""Steps that read and write Redis streams; Valkey's are the same.

They need the package redis, which the extra ``redis`` brings, and a server of version 6.2 or newer.
"""

from pipelines.steps.redis.acknowledging import redis_ack
from pipelines.steps.redis.connecting import RedisError, RedisUnreachableError
from pipelines.steps.redis.entries import Entry
from pipelines.steps.redis.reading import redis_read
from pipelines.steps.redis.writing import redis_write

__all__ = [
    "Entry",
    "RedisError",
    "RedisUnreachableError",
    "redis_ack",
    "redis_read",
    "redis_write",
]
