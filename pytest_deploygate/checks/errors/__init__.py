"""Of the requests only as many fail as the error budget allows, the load balancer's own errors included."""

__all__ = ["judge", "probe"]
