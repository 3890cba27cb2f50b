"""``detboard compare``: two rows or runs held against each other on the same images.

`find` finds where two `sides` differ, `show` tells it. Everything comes from the results folder: the leaderboards say
which runs a row has, and each run's ``matches.npz`` and ``bootstrap.npy`` hold its evaluation. Neither the data set nor
the models are needed.
"""
