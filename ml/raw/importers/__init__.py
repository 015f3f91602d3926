"""Readers of public datasets, each writing the raw contract of `docs/raw-contract.md`."""
