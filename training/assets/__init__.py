"""The sprite library: named drawings with clean licences, from npm, pip and apt packages alone.

`python -m training.assets --out data/sprites` builds it. README.md tells the format, the licences
and what was left out.
"""
