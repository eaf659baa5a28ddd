"""How fast Swath is, beside its peers and the limit: `python -m benchmarks`."""
