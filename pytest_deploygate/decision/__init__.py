"""Turn findings, policy and circumstances into GO, HOLD or ROLLBACK, with reasons."""
