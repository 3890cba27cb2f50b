"""What the numbers of a table are worth: intervals, differences, ranks with ties, kinds of error.

docs/statistics.md says how, in words and formulas, with the sources.
"""

LEVEL = 0.95  # of intervals, and of the ranks over a whole table
RESAMPLES = 1000  # bootstrap resamples of the validation images
SEED = 0  # theirs
CORRECTED_T = "corrected resampled t over the folds (Nadeau and Bengio 2003)"
