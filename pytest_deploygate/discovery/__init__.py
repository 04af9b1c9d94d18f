"""What a team has at hand, looked at without changing anything, and written as an inventory.

One module per source: `postgres`, `domain`, `prometheus`, `ansible`, `compose`, `kubernetes`, `terraform`. Each returns
`found.Found`; `writer` renders what all of them found.
"""
