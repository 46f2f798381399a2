"""The durable log: what lies on an edge outlives the process that runs the graph, in Redis."""

from pipelines.durable.lease import DurableError, LeaseHeldError, LeaseLostError
from pipelines.durable.log import Batch, Log

__all__ = ["Batch", "DurableError", "LeaseHeldError", "LeaseLostError", "Log"]
