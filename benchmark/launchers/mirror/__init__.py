"""A mirror of run folders, for jobs on machines that do not see the driver's disk.

The driver puts a run's folder into a store, a folder or object storage; its job takes it from there, works in a folder
of its node, and puts back what it writes; the driver brings that home. See `docs/clusters.md`.
"""
