"""Train, evaluate and explain a bottleneck network on Tiny ImageNet."""

import os

from tinymodel.memory import keep_freed_memory

# How long an idle OpenMP thread spins before it lets others have the core, on Linux. Measured with another program
# taking one of two cores: 51 images/s instead of 26; with the machine to itself no difference (341 and 336).
os.environ.setdefault("GOMP_SPINCOUNT", "30000")
keep_freed_memory()  # before other threads get heaps of their own
