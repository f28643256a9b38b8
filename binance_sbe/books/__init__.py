"""Local order books: their levels in C, what keeps them in step, and what asks for snapshots.

Programs call ``binance_sbe.books(...)``: the package above makes this one callable.
"""
