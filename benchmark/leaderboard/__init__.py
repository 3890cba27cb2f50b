"""The table, from the records on disk: never trains, never asks Weights & Biases.

`table.Table` is what is shown, `columns.COLUMNS` says how; one module an output format.
"""
