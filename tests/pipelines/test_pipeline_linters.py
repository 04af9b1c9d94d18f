"""Manifests, chart, workflow, image and hook, by the linters and engines of their systems."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import linters
import pytest
import yaml
from workplace import ROOT, TEMPLATES

pytestmark = pytest.mark.long  # what they need is downloaded once

CHART = TEMPLATES / "helm/deploygate"
RUN = {"change": "CHG-1234", "phases": "phase2"}
#: The oldest version that has all that the manifests use, and the newest one that is known.
KUBERNETES = ("1.33", "1.37")


def valid(documents: list[Any], folder: Path) -> None:
    """Check objects against the strict schemas of Kubernetes: no key is unknown."""
    for number, one in enumerate(documents):
        one["metadata"].setdefault("name", "named-by-the-server")
        file = folder / f"{number}.yaml"
        file.write_text(yaml.safe_dump(one))
        for version in KUBERNETES:
            linters.run("kubernetes-validate", "--strict", "-k", version, str(file))


def rendered(values: dict[str, object]) -> Any:
    return json.loads(
        linters.run("python", str(Path(__file__).parent / "by_helm.py"), str(CHART), json.dumps(values))
    )


def objects(values: dict[str, object]) -> dict[str, Any]:
    """Return what the chart makes, by kind."""
    texts = [text for name, text in rendered(values)["rendered"].items() if not name.endswith(".txt")]
    found = [one for text in texts for one in yaml.safe_load_all(text) if one]
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


def test_manifests_are_valid(tmp_path: Path) -> None:
    for file in (*(TEMPLATES / "kubernetes").glob("*.yaml"), TEMPLATES / "argo/executor.yaml"):
        valid(list(yaml.safe_load_all(file.read_text())), tmp_path)


def test_an_unknown_key_of_a_manifest_is_found(tmp_path: Path) -> None:
    (job,) = yaml.safe_load_all((TEMPLATES / "kubernetes/shards.yaml").read_text())
    job["spec"]["backoffLimitPerIndx"] = 0
    with pytest.raises(AssertionError, match="backoffLimitPerIndx"):
        valid([job], tmp_path)


def test_the_chart_makes_the_manifests(tmp_path: Path) -> None:
    told = rendered(RUN)
    assert [one for one in told["lint"]["messages"] if one["severity"] > 1] == []
    assert told["lint"]["errors"] == []
    made = objects(RUN)
    valid(list(made.values()), tmp_path)
    for file in sorted((TEMPLATES / "kubernetes").glob("*.yaml")):
        for one in yaml.safe_load_all(file.read_text()):
            ours = made.pop(one["kind"])
            pod = ours["spec"]["template"] if one["kind"] == "Job" else {}
            if one["kind"] == "CronJob":
                pod = ours["spec"]["jobTemplate"]["spec"]["template"]
            assert pod.pop("metadata", {"labels": {}}).keys() == {"labels"}
            for which in (ours, one):
                which.pop("metadata")
            assert ours == one, file.name
    assert made == {}


def test_the_chart_with_other_values(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "shards": 8,
        "parallelism": 3,
        "waitSeconds": 60,
        "nightly": {"enabled": False, "schedule": "0 3 * * *", "phases": "preflight"},
        "records": {"existingClaim": "ours", "size": "1Gi"},
        "serviceAccount": {"token": True},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "gate", "operator": "Exists"}],
    }
    made = objects({**RUN, **more})
    assert set(made) == {"ServiceAccount", "Job"}
    valid(list(made.values()), tmp_path)
    spec = made["Job"]["spec"]
    assert made["Job"]["metadata"]["name"] == "deploygate-7"
    assert (spec["completions"], spec["parallelism"], spec["activeDeadlineSeconds"]) == (9, 3, 660)
    assert spec["successPolicy"]["rules"] == [{"succeededIndexes": "8"}]
    pod = spec["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "ours"
    assert (pod["nodeSelector"], pod["tolerations"], pod["imagePullSecrets"]) == (
        more["nodeSelector"],
        more["tolerations"],
        more["imagePullSecrets"],
    )


def test_the_chart_without_a_change_starts_no_run() -> None:
    assert set(objects({})) == {"ServiceAccount", "PersistentVolumeClaim", "CronJob"}
    assert "No run has started" in rendered({})["rendered"]["deploygate/templates/NOTES.txt"]


def test_helm_refuses_wrong_values() -> None:
    assert "shards" in rendered({**RUN, "shards": 1})["refused"]
    assert "phases" in rendered({"change": "CHG-1234"})["refused"]


def test_the_workflow_of_argo_has_no_key_that_is_unknown(tmp_path: Path) -> None:
    """Argo's models drop unknown keys: what is left must be what was given."""
    script = (
        "import json, sys, yaml; from hera.workflows.models import WorkflowTemplate; "
        "given = yaml.safe_load(open(sys.argv[1])); "
        "kept = WorkflowTemplate.model_validate(given).model_dump(mode='json', by_alias=True, exclude_unset=True); "
        "print(json.dumps([given, kept]))"
    )
    file = TEMPLATES / "argo/workflow-template.yaml"
    given, kept = json.loads(linters.run("python", "-c", script, str(file)))
    assert kept == given
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(file.read_text().replace("continueOn:", "continueOnn:"))
    given, kept = json.loads(linters.run("python", "-c", script, str(wrong)))
    assert kept != given


def test_zizmor_finds_nothing_in_the_workflow_and_the_action(tmp_path: Path) -> None:
    """Actions are named by tag, as in `deploygate init`: whoever copies the file pins them as they pin others."""
    configuration = tmp_path / "zizmor.yml"
    configuration.write_text("rules: {unpinned-uses: {disable: true}}\n")
    files = (str(TEMPLATES / "github/deploygate-shards.yml"), str(ROOT / "action.yml"))
    linters.run("zizmor", "--offline", "--config", str(configuration), *files)


def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    # DL3008: Debian removes old versions of packages, so a pinned one cannot be installed later.
    linters.run("hadolint", "--ignore", "DL3008", str(TEMPLATES / "container/Containerfile"))


def test_the_hook_is_run_by_pre_commit(tmp_path: Path) -> None:
    """From a repository with our hooks, which here are started with what is installed: `language: system`."""
    linters.run("pre-commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml"))
    program = linters.program("pre-commit")
    hook = {**yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0], "language": "system"}
    hook["entry"] = f"{Path(linters.FOLDER).parent}/bin/{hook['entry']}"
    for file, text in {
        "inventories/staging.yml": "name: staging\n",
        "waivers/a.yml": "itm: db.pooling\n",
        ".pre-commit-config.yaml": json.dumps({"repos": [{"repo": "local", "hooks": [hook]}]}),
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    for words in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    command = [program, "run", "--all-files"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "waivers/a.yml:1: unknown key 'itm'" in done.stdout
    (tmp_path / "waivers/a.yml").unlink()
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    assert "Passed" in linters.run("pre-commit", "run", "--all-files", folder=tmp_path)
