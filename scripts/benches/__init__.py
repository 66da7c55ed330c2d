"""Benchmarks; each module's `run()` returns one result document."""
