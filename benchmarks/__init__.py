"""Benchmarks: times and ratios, each pair measured in one run. `make bench`."""
