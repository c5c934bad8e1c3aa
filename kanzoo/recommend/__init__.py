"""Is a KAN better than an MLP on a table, and which one: successive halving over bases and sizes, then a paired test.

`columns` looks at the target, `halving` decides who stays (pure functions), `search` runs the cells within the time, `verdict` tells
what came of it in a sentence.
"""
