"""Which shard a run is: by option, or by what pipelines say in the environment."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_deploygate.session.sharding import read_shard

#: An inventory that refers to one value and one secret.
LOADED = SimpleNamespace(
    sha256="5" * 64, values=(("env:HOST", "db1"), ("env:PASSWORD", "geheim")), secrets={"env:PASSWORD"}
)


def shard(given: str | None = None, **environ: str):
    return read_shard(given, None, LOADED, environ)


@pytest.mark.parametrize(
    ("environ", "index", "of"),
    [
        ({"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4"}, 2, 4),
        ({"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4", "CI_JOB_NAME": "deploygate 2/4"}, 2, 4),
        ({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "3"}, 1, 3),
        ({"JOB_COMPLETION_INDEX": "7", "DEPLOYGATE_SHARDS": "8"}, 8, 8),
    ],
)
def test_a_pipeline_tells_by_itself(environ, index, of):
    found = shard(**environ)
    assert (found.index, found.of, found.said_by) == (index, of, next(iter(environ)))


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"CI_NODE_TOTAL": "1"},  # GitLab sets it for every job
        {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"},
        {"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "1"},
        {"DEPLOYGATE_SHARDS": "4"},
        # `parallel: matrix`: each job has its own inventory, to be run whole
        {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "2", "CI_JOB_NAME": "deploygate: [prod]"},
    ],
)
def test_a_run_is_whole_otherwise(environ):
    assert shard(**environ) is None


def test_the_option_comes_before_the_environment():
    assert shard("1/1", CI_NODE_INDEX="2", CI_NODE_TOTAL="4") is None
    assert shard("3/5", CI_NODE_INDEX="2", CI_NODE_TOTAL="4").words == "shard 3 of 5"


@pytest.mark.parametrize("given", ["", "2", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1/5000", "١/٤"])
def test_what_is_no_shard_is_refused(given):
    with pytest.raises(pytest.UsageError, match="--shard"):
        shard(given)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"JOB_COMPLETION_INDEX": "0"}, "set DEPLOYGATE_SHARDS to the job's completions"),
        ({"JOB_COMPLETION_INDEX": "4", "DEPLOYGATE_SHARDS": "4"}, "there is no shard 5 of 4"),
        ({"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "4"}, "CI_NODE_INDEX='x' is not a number"),
        ({"JOB_COMPLETION_INDEX": "0", "DEPLOYGATE_SHARDS": ""}, "DEPLOYGATE_SHARDS='' is not a number"),
    ],
)
def test_half_of_what_a_pipeline_must_tell_is_refused(environ, words):
    with pytest.raises(pytest.UsageError, match=words.replace("(", r"\(")):
        shard(**environ)


def test_a_pipeline_says_which_run_its_shards_belong_to():
    """The number of a run stays when one of its jobs is run again."""
    assert shard("1/2", GITHUB_RUN_ID="12", GITHUB_RUN_ATTEMPT="3").belongs == "GITHUB_RUN_ID=12"
    assert shard("1/2", DEPLOYGATE_SHARDS_RUN="a", CI_PIPELINE_ID="9").belongs == "DEPLOYGATE_SHARDS_RUN=a"
    assert shard("1/2").belongs == ""


def test_other_values_of_references_are_another_setting_but_secrets_are_not():
    mine = shard("1/2").settings
    other = SimpleNamespace(**{**vars(LOADED), "values": (("env:HOST", "db2"), ("env:PASSWORD", "geheim"))})
    token = SimpleNamespace(**{**vars(LOADED), "values": (("env:HOST", "db1"), ("env:PASSWORD", "anders"))})
    assert read_shard("2/2", None, other, {}).settings != mine
    assert read_shard("2/2", None, token, {}).settings == mine


def test_durations_without_a_journal_are_refused(tmp_path):
    with pytest.raises(pytest.UsageError, match="there is no journal of a run"):
        read_shard("1/2", tmp_path, LOADED, {})


KEY = "a-word-that-all-shards-have"


def test_secrets_are_compared_by_keyed_digests_only():
    mine = shard("1/2", DEPLOYGATE_SHARDS_KEY=KEY).secrets
    token = SimpleNamespace(**{**vars(LOADED), "values": (("env:HOST", "db1"), ("env:PASSWORD", "anders"))})
    theirs = read_shard("2/2", None, token, {"DEPLOYGATE_SHARDS_KEY": KEY}).secrets
    assert set(mine) == set(theirs) == {"env:PASSWORD", "DEPLOYGATE_SHARDS_KEY"}
    assert mine["env:PASSWORD"] != theirs["env:PASSWORD"]
    assert mine["DEPLOYGATE_SHARDS_KEY"] == theirs["DEPLOYGATE_SHARDS_KEY"]
    assert shard("1/2", DEPLOYGATE_SHARDS_KEY=KEY + "!").secrets["env:PASSWORD"] != mine["env:PASSWORD"]
    assert not any(secret in str(mine) for secret in ("geheim", KEY))
    assert shard("1/2").secrets == shard("1/2", DEPLOYGATE_SHARDS_KEY="").secrets == {}
    with pytest.raises(pytest.UsageError, match="has 5 characters: secrets could be guessed"):
        shard("1/2", DEPLOYGATE_SHARDS_KEY="short")
