"""Who is told how a run goes: `progress` on a terminal, `log` anywhere else.

Each follows the `pipelines.metrics.Reporter` protocol and is imported only where it is used.
"""
