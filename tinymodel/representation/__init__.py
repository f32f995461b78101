"""What the k-th layer knows: features, maps, neighbours, probes, and new classifiers stacked on them."""
