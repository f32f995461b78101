"""The four parts of the bottleneck page: see it, measure it, teach it, widen or narrow it."""
