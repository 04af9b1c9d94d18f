shopt -s nullglob
if ((JOB_COMPLETION_INDEX < DEPLOYGATE_SHARDS)); then
  rm -f "/ended/$JOB_COMPLETION_INDEX"
  code=0
  pytest -p no:cacheprovider -m "$PHASES" --inventory "$INVENTORY" --change "$CHANGE" || code=$?
  touch "/ended/$JOB_COMPLETION_INDEX"
  exit "$code"
fi
# The last index merges. It does not wait forever: a shard that was killed left no mark, and the merge says so.
ended=(/ended/*)
for ((waited = 0; waited < WAIT_S && ${#ended[@]} < DEPLOYGATE_SHARDS; waited += 5)); do
  sleep 5
  ended=(/ended/*)
done
# Those of an earlier run of the change may be there in another number.
shopt -u nullglob
deploygate merge "deploygate-out/$CHANGE/shards"/*-of-"$DEPLOYGATE_SHARDS"
