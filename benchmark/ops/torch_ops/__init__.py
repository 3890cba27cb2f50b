"""The operators that `benchmark.ops` serves in place of mmcv's compiled ones, one module a kind.

Names, arguments and order are those of ``mmcv._ext``: results go into tensors that the caller
allocated. They take tensors of every floating dtype, device and layout; half precision is computed
in float32.
"""
