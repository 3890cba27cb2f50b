default_hooks = dict(logger=dict(interval=2))
