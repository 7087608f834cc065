"""A support `Task` comes in, a `TaskModel` goes out: one file a method, each citing its source.

The contract is `base.py`; `registry.py` lists what there is. A learner never changes the backbone it was given.
"""
