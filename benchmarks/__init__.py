"""Side-by-side measurements: this library, a chain by hand, the bare floor, and the peers.

    workloads  what is measured, who takes part, and what must hold
    sides      each side's code for each workload
    child      one measurement, in a process of its own
    rounds     all sides in turn, again and again
    stats      medians, paired ratios, verdicts
    report     the tables                               chart      the pictures
    peers      the peers' own environment               machine    what it was measured on

``python -m benchmarks --help`` says how to run it; the wiki page *Performance* says what it means.
"""
