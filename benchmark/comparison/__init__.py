"""``detboard compare``: two rows or runs held against each other on the same images.

`find` finds where two `sides` differ, `words` tells it; all from the results folder, without training.
"""
