"""Response times at go-live and over the night: by the servers' histograms, by our own client, against the run before."""

__all__ = ["judge", "probe"]
