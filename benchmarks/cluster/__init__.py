"""What a graph costs on Ray: ``make bench-cluster``, one round after the other.

    graphs    a diamond, and a step in several processes
    runs      one measurement of each kind
    rounds    all of them in turn, each round in a cluster of its own
    goals     what must hold
    page      the page `CLUSTER.md` and its picture

The wiki page *Scale-out* says what the figures mean for a graph.
"""
