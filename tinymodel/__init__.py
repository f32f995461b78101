"""Train, evaluate and explain a bottleneck network on Tiny ImageNet."""

import os

from tinymodel.memory import keep_freed_memory

# How long an idle OpenMP thread spins before it lets others have the core, on Linux. Training at quarter width on two
# cores that sixteen other processes wanted too: 16 to 36 images/s with 3,000, 5 with 30,000, 2 to 3 with the default of
# 300,000; a step took 0.4, 1.2 and 3.3 s of processor time. With the machine to itself 30,000 cost nothing (341 and 336).
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
keep_freed_memory()  # before other threads get heaps of their own
