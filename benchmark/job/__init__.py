"""One training and evaluation, in a process that knows its run folder and nothing else."""
