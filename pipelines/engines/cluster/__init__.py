"""Ray itself: starting a cluster, joining one, and sending graphs there.

addresses   of clusters, and the scopes of nodes     tokens     who may come in
joining     Ray in this process                      survey     what there is, seen from outside
workers     nodes of a cluster, as processes         node       what such a process runs
jobs        graphs that run there by themselves      upload     what is sent with them
loopback    keeping Ray on this machine's address    state      keeping Ray quiet, and ours ours

Nothing is imported here: `survey` and `node` also run as programs, and would be loaded twice.
"""
