"""Train, evaluate and explain a bottleneck network on Tiny ImageNet."""
