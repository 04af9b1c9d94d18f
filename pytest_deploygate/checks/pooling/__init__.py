"""Connection poolers: their arithmetic, their queues, and a test under pressure."""
