change=nightly-$(date -u +%Y%m%d)
began=$(date -u +%Y-%m-%dT%H:%M:%SZ)
pytest -p no:cacheprovider -m "$PHASES" --inventory "$INVENTORY" --change "$change" || true
# What runs in pytest can end it with any status: the job's result is what this run recorded.
deploygate outcome --change "$change" --since "$began"
