"""Dead letters sent again: their file, the part of the graph behind a node, and the runs."""

from pipelines.replay.rerun import Replay, Sent, source_of

__all__ = ["Replay", "Sent", "source_of"]
