"""The lab's platform as its users meet it: pages, API, events, alerts and reports. `python -m …platform.serve` runs a replica.

Every module is about one subject. What a fault sets wrong is a switch, read anew at each request: see `switches`.
"""
