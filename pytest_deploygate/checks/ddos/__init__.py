"""Rate limits and slow clients: one source that asks too much is limited, others are served, slow connections are cut."""

__all__ = ["judge", "probe"]
