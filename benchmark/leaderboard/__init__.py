"""The table, from the records on disk: never trains, never asks Weights & Biases.

`results.Table` is what is shown, `columns` says how; one module an output format.
"""
