"""One module a side; in each, one function a workload, which runs it and returns its result.

The functions' names are those that `workloads` calls; the first argument is the number of items.
A module imports what it measures inside its functions only where it must start without it.
"""
