"""Open-loop load: requests leave by the clock, whatever the server does, and are timed from when they should have left."""
