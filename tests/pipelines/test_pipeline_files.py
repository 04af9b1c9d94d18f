"""What the templates say besides their scripts: the merge runs in any case, pods have few privileges, numbers agree."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from systems import SHARDS, Argo, Azure, CircleCI, GitHub, GitLab, Jenkins, Kubernetes, read
from workplace import ROOT, TEMPLATES

from pytest_deploygate.checklist import attestations, issue_log, waivers
from pytest_deploygate.cli import main

CHART = TEMPLATES / "helm/deploygate"
FILES = sorted(path for path in [ROOT / "action.yml", *TEMPLATES.rglob("*")] if path.is_file())
CONTAINERFILE = TEMPLATES / "container/Containerfile"


def pods() -> Iterator[tuple[str, Any, Any]]:
    """Yield each pod's name, its specification and that of its container."""
    job = read("kubernetes/shards.yaml")["spec"]["template"]["spec"]
    nightly = read("kubernetes/nightly.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for name, pod in (("shards", job), ("nightly", nightly)):
        yield name, pod, pod["containers"][0]
    workflow = read("argo/workflow-template.yaml")["spec"]
    for name in ("shard", "merge"):
        yield f"argo {name}", workflow, Argo.templates[name]["container"]


def test_the_merge_runs_whatever_became_of_the_shards() -> None:
    assert GitHub.jobs["gate"]["if"] == "always()"
    assert GitHub.jobs["shard"]["strategy"]["fail-fast"] is False
    assert GitLab().jobs()["deploygate"]["when"] == "always"
    assert Azure.jobs["deploygate"]["condition"] == "always()"
    assert CircleCI.whole["workflows"]["deploygate"]["jobs"][1]["deploygate"]["requires"] == [
        {"deploygate-shard": "terminal"}
    ]
    (shard,), (merge,) = Argo.templates["gate"]["steps"]
    assert shard["continueOn"] == {"failed": True, "error": True}
    assert merge["template"] == "merge"
    caught = re.search(r"catchError\((.*?)\) \{\s*(//.*\n\s*)?sh '''", Jenkins.text)
    assert caught is not None
    assert caught[1] == "buildResult: 'SUCCESS', stageResult: 'FAILURE'"
    job = read("kubernetes/shards.yaml")["spec"]
    assert job["successPolicy"] == {"rules": [{"succeededIndexes": str(SHARDS)}]}
    assert job["completions"] == job["parallelism"] == SHARDS + 1


def test_a_finding_is_not_tried_again_until_it_is_good() -> None:
    job, nightly = (
        read("kubernetes/shards.yaml")["spec"],
        read("kubernetes/nightly.yaml")["spec"]["jobTemplate"]["spec"],
    )
    assert (job["backoffLimitPerIndex"], nightly["backoffLimit"]) == (0, 0)
    for one in (job, nightly):
        (rule,) = one["podFailurePolicy"]["rules"]
        assert (rule["action"], rule["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    for file in FILES:
        assert not re.search(
            r"^\s*(retry|retryStrategy|retryCountOnTaskFailure)\b", file.read_text(), re.MULTILINE
        )


def test_numbers_of_shards_agree() -> None:
    variables = {one["name"]: one.get("value") for one in Kubernetes.container["env"]}
    assert variables["DEPLOYGATE_SHARDS"] == str(SHARDS)
    axis = re.findall(r"'(\d+)'", re.findall(r"values (.*)", Jenkins.text)[0])
    assert [*map(int, axis)] == [*range(1, int(Jenkins.told["SHARDS"]) + 1)]
    assert GitHub.jobs["shard"]["strategy"]["matrix"]["shard"] == [*range(1, SHARDS + 1)]
    deadline = read("kubernetes/shards.yaml")["spec"]["activeDeadlineSeconds"]
    assert deadline > int(variables["WAIT_S"])  # the merge still has time


@pytest.mark.parametrize(
    ("name", "pod", "container"), list(pods()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_pods_have_the_least_privileges(name: str, pod: Any, container: Any) -> None:
    assert pod["automountServiceAccountToken"] is False
    user = pod["securityContext"]
    assert user["runAsNonRoot"] is True
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in CONTAINERFILE.read_text()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert not any("secret" in str(one.get("value", "")).lower() for one in container["env"])
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"/repository/deploygate-out", "/tmp"} <= written
    if "pytest" in container["args"][0]:
        assert "-p no:cacheprovider" in container["args"][0]


def test_images_are_examples_or_official_and_have_a_tag() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\b(docker\.io|ghcr\.io|quay\.io|gcr\.io|registry\.gitlab)", text), file
        for image in re.findall(r"^\s*(?:- )?image:\s+([^\s{]+)$", text, re.MULTILINE):
            assert re.fullmatch(
                r"registry\.example\.com/(deploygate:VERSION|app:1\.2\.3)|cimg/python:3\.\d+|\$\[\[", image
            ), f"{file}: {image}"
    assert re.search(r"^ARG BASE=python:3\.\d+-slim-\w+$", CONTAINERFILE.read_text(), re.MULTILINE)


def test_the_chart_has_the_scripts_of_the_manifests() -> None:
    for name, _, container in pods():
        if (CHART / f"scripts/{name}.sh").exists():
            assert (CHART / f"scripts/{name}.sh").read_text() == container["args"][0]
    assert len(list(CHART.glob("scripts/*.sh"))) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"shards": 1},  # a whole run, which nobody merges
        {"shards": "4"},
        {"change": "CHG-1"},  # without phases
        {"change": "CHG 1", "phases": "phase2"},
        {"imge": "registry.example.com/deploygate:1"},
        {"image": "registry.example.com:5000/deploygate"},
        {"image": "registry.example.com/deploygate:latest"},
        {"nightly": {"enabled": True, "schedule": "", "phases": "preflight"}},
    ],
    ids=str,
)
def test_the_chart_refuses_wrong_values(wrong: dict[str, object]) -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.validate(values, schema)
    jsonschema.validate({**values, "change": "CHG-1", "phases": "phase2"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**values, **wrong}, schema)


def test_hooks_are_commands_and_look_at_the_files_of_people() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert set(hooks) == {"deploygate-check", "deploygate-plan"}
    for hook in hooks.values():
        program, command = shlex.split(hook["entry"])
        assert program == "deploygate"
        assert command in main.commands or main.get_command(None, command) is not None  # type: ignore[arg-type]
        folders = ["inventories", "suites", attestations.FOLDER, waivers.FOLDER]
        for folder in folders:
            assert re.search(hook["files"], f"{folder}/a.yml")
    assert re.search(hooks["deploygate-check"]["files"], f"deploygate/{issue_log.FOLDER}/CHG-1.yml")
    assert not re.search(hooks["deploygate-check"]["files"], "src/app.py")


@pytest.mark.parametrize(
    ("schema", "file", "more"),
    [
        ("github-workflows", "github/deploygate-shards.yml", ()),
        ("azure-pipelines", "azure/deploygate-shards.yml", ("--data-transform", "azure-pipelines")),
        ("circle-ci", "circleci/config.yml", ()),
        ("gitlab-ci", None, ("--data-transform", "gitlab-ci")),
    ],
)
def test_files_follow_the_schemas_of_their_systems(
    schema: str, file: str | None, more: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "jobs.yml"
    if file is None:  # a component, as GitLab fills it in
        path.write_text(yaml.safe_dump(GitLab().jobs()))
    else:
        path = TEMPLATES / file
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.{schema}",
        *more,
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_merge_has_the_secrets_of_the_shards() -> None:
    """It reads the inventory again, and that refers to them."""
    shard, gate = (GitHub.jobs[name]["steps"] for name in ("shard", "gate"))
    given = [step["env"] for step in (*shard, *gate) if "STAGING_DB_PASSWORD" in step.get("env", {})]
    assert [one["STAGING_DB_PASSWORD"] for one in given] == ["${{ secrets.STAGING_DB_PASSWORD }}"] * 2
    each = "${{ each secret in parameters.secrets }}"
    assert [
        each in step["env"] for job in Azure.jobs.values() for step in job["steps"] if "bash" in step
    ] == [True] * 2
    jobs = CircleCI.whole["workflows"]["deploygate"]["jobs"]
    assert [next(iter(job.values()))["context"] for job in jobs] == ["staging"] * 2
    assert Jenkins.text.count("credentials('staging-db-password')") == 2
    assert Argo.templates["merge"]["container"]["envFrom"] == Argo.templates["shard"]["container"]["envFrom"]
