"""How each CI system runs the scripts of its template: shells, variables, artifacts. No tests here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from workplace import ROOT, TEMPLATES, Workplace, environment, filled

CHANGE, INVENTORY, SHARDS = "CHG-1234", "staging", 4
#: What a script must hand over as one word, without reading it as code.
PHASES = 'phase2 and not "$(touch broken)" or `touch broken`'
ASKED = {"change": CHANGE, "phases": PHASES, "inventory": INVENTORY, "shards": SHARDS}
BASH = ("bash", "-eo", "pipefail", "-c")
More = Mapping[str, str]


def read(path: str) -> Any:
    """Read the last document of a file."""
    return list(yaml.safe_load_all((TEMPLATES / path).read_text(encoding="utf-8")))[-1]


def among(found: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return values with a prefix in their names, such as `inputs.change`."""
    return {f"{found}{name}": value for name, value in values.items()}


class Kubernetes:
    """Pods of one job share the volume; each starts at once."""

    container = read("kubernetes/shards.yaml")["spec"]["template"]["spec"]["containers"][0]
    script = container["args"][0]

    def _pod(self, place: Workplace, index: int, more: More) -> int:
        told = {one["name"]: one.get("value", "uid-of-the-job") for one in self.container["env"]}
        told |= {"PHASES": PHASES, "JOB_COMPLETION_INDEX": str(index), **more}
        (place.top / "ended").mkdir(exist_ok=True)
        shutil.rmtree(place.folder)
        place.folder.mkdir()
        (place.top / "volume").mkdir(exist_ok=True)
        (place.folder / "deploygate-out").symlink_to(place.top / "volume")
        return place.run(
            self.container["command"], self.script.replace("/ended", str(place.top / "ended")), told
        )

    def shard(self, place: Workplace, number: int, more: More) -> int:
        return self._pod(place, number - 1, more)

    def merge(self, place: Workplace, more: More) -> int:
        return self._pod(place, SHARDS, more)


class Argo:
    """Steps share the volume."""

    templates: ClassVar = {
        one["name"]: one for one in read("argo/workflow-template.yaml")["spec"]["templates"]
    }

    def _step(self, place: Workplace, name: str, values: Mapping[str, object], more: More) -> int:
        container = self.templates[name]["container"]
        values = {**values, **among("workflow.parameters.", ASKED), "workflow.uid": "uid"}
        told = environment({one["name"]: one["value"] for one in container["env"]}, values)
        (place.top / "volume").mkdir(exist_ok=True)
        link = place.folder / "deploygate-out"
        link.unlink(missing_ok=True)
        link.symlink_to(place.top / "volume")
        return place.run(container["command"], container["args"][0], told | more)

    def shard(self, place: Workplace, number: int, more: More) -> int:
        return self._step(place, "shard", {"inputs.parameters.number": number}, more)

    def merge(self, place: Workplace, more: More) -> int:
        return self._step(place, "merge", {}, more)


class GitHub:
    """Artifacts have the content of the uploaded folder."""

    whole = read("github/deploygate-shards.yml")
    jobs = whole["jobs"]
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    attempt = 1

    def _always(self) -> dict[str, str]:
        return environment(self.whole["env"], {"github.run_id": 17})

    def shard(self, place: Workplace, number: int, more: More) -> int:
        values = {
            **among("inputs.", ASKED),
            "matrix.shard": number,
            "strategy.job-total": len(self.jobs["shard"]["strategy"]["matrix"]["shard"]),
            "github.run_attempt": self.attempt,
            "secrets.STAGING_DB_PASSWORD": "",
        }
        code, more = 0, self._always() | dict(more)
        for step in self.jobs["shard"]["steps"]:
            if "run" in step and code == 0:
                code = place.run(("bash", "-ec"), step["run"], environment(step.get("env"), values) | more)
            elif step.get("uses", "").startswith("actions/upload-artifact"):
                assert step["if"] == "always()"
                uploaded = place.folder / filled(step["with"]["path"], values)
                shutil.copytree(uploaded, place.top / "artifacts" / filled(step["with"]["name"], values))
        return code

    def merge(self, place: Workplace, more: More) -> int:
        values, more = among("inputs.", ASKED), self._always() | dict(more)
        for step in self.jobs["gate"]["steps"]:
            if "run" in step:
                code = place.run(("bash", "-ec"), step["run"], environment(step.get("env"), values) | more)
                assert code == 0
            elif step["uses"].startswith("actions/download-artifact"):
                assert "merge-multiple" not in step["with"]
                shutil.copytree(place.top / "artifacts", place.folder / step["with"]["path"])
            elif step["uses"].startswith("OWNER/"):
                return self._acted(place, {k: filled(v, values) for k, v in step["with"].items()}, more)
        raise AssertionError("the action is not used")

    def _acted(self, place: Workplace, given: Mapping[str, str], more: More) -> int:
        assert set(given) <= set(self.action["inputs"])
        values = among(
            "inputs.", {name: one.get("default", "") for name, one in self.action["inputs"].items()}
        )
        values |= among("inputs.", given)
        files = {name: str(place.top / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        codes = [
            place.run(("bash", "-ec"), step["run"], environment(step["env"], values) | files | more)
            for step in self.action["runs"]["steps"]
            if "run" in step
            and not {"inputs.merge == ''", "inputs.comment != ''"}
            & set(re.findall(r"inputs\.\w+ [!=]= ''", step["if"]))
        ]
        assert sum(code != 0 for code in codes) <= 1
        assert "inputs.merge == ''" in self.action["runs"]["steps"][-1]["if"]  # `outcome` is for a run
        return max(codes)


class GitLab:
    """Artifacts are unpacked where they were packed."""

    text = (TEMPLATES / "deploygate-shards.yml").read_text(encoding="utf-8")
    inputs: ClassVar = {
        "stage": "test",
        "image": "python:3.12-slim",
        **{name: value for name, value in ASKED.items() if name != "phases"},
    }

    def jobs(self) -> Any:
        _, text = self.text.split("\n---\n")
        return yaml.safe_load(filled(text, among("inputs.", {**self.inputs, "phases": "PHASES"})))

    def _job(self, place: Workplace, name: str, more: More) -> int:
        base = self.jobs()[".deploygate-shards"]
        told = environment(base["variables"], {}) | {"DEPLOYGATE_PHASES": PHASES} | more
        script = "\n".join([*base["before_script"], *self.jobs()[name]["script"]])
        return place.run(BASH, script, told)

    def shard(self, place: Workplace, number: int, more: More) -> int:
        job = self.jobs()["deploygate-shard"]
        code = self._job(
            place,
            "deploygate-shard",
            {"CI_NODE_INDEX": str(number), "CI_NODE_TOTAL": str(job["parallel"]), **more},
        )
        assert job["artifacts"]["when"] == "always"
        packed = job["artifacts"]["paths"][0].replace("$DEPLOYGATE_CHANGE", CHANGE)
        shutil.copytree(place.folder / packed, place.top / "merge" / packed, dirs_exist_ok=True)
        return code

    def merge(self, place: Workplace, more: More) -> int:
        return self._job(place, "deploygate", more)


class Azure:
    """Artifacts have the content of the published folder."""

    jobs: ClassVar = {one["job"]: one for one in read("azure/deploygate-shards.yml")["jobs"]}
    attempt = 1

    def _values(self, place: Workplace, number: int) -> dict[str, object]:
        return {
            **among("parameters.", ASKED),
            "System.JobPositionInPhase": number,
            "System.TotalJobsInPhase": SHARDS,
            "System.JobAttempt": self.attempt,
            "Build.BuildId": 17,
            "Pipeline.Workspace": place.top / "workspace",
        }

    def shard(self, place: Workplace, number: int, more: More) -> int:
        values, code = self._values(place, number), 0
        for step in self.jobs["deploygate_shard"]["steps"]:
            if "bash" in step:
                code = place.run(("bash", "-c"), step["bash"], environment(step["env"], values) | more)
            elif "task" in step:
                assert step["condition"] == "always()"
                name = filled(step["inputs"]["artifact"], values)
                published = place.folder / filled(step["inputs"]["targetPath"], values)
                shutil.copytree(published, place.top / "artifacts" / name)
        return code

    def merge(self, place: Workplace, more: More) -> int:
        values, code = self._values(place, 1), 0
        for step in self.jobs["deploygate"]["steps"]:
            if "bash" in step:
                code = place.run(("bash", "-c"), step["bash"], environment(step["env"], values) | more)
            elif step.get("task", "").startswith("DownloadPipelineArtifact"):
                shutil.copytree(place.top / "artifacts", Path(filled(step["inputs"]["targetPath"], values)))
        return code


class CircleCI:
    """The workspace has what each job left in it. A step that fails ends its job."""

    whole = read("circleci/config.yml")

    def _job(self, place: Workplace, name: str, more: More) -> int:
        values = {**among("pipeline.parameters.", ASKED), "pipeline.id": "pipeline-17"}
        told = environment(self.whole["executors"]["python"]["environment"], values)
        mark = str(place.top / f"{place.folder.name}-code")
        for step in self.whole["jobs"][name]["steps"]:
            kind = next(iter(step)) if isinstance(step, dict) else step
            if kind == "run":
                command = step["run"] if isinstance(step["run"], str) else step["run"]["command"]
                code = place.run(BASH, command.replace("/tmp/deploygate-code", mark), told | more)
                if code:
                    return code
            elif kind == "persist_to_workspace":
                kept = place.top / "workspace/deploygate-out"
                shutil.copytree(place.folder / "deploygate-out", kept, dirs_exist_ok=True)
            elif kind == "attach_workspace":
                shutil.copytree(place.top / "workspace", place.folder, dirs_exist_ok=True)
        return 0

    def shard(self, place: Workplace, number: int, more: More) -> int:
        total = str(self.whole["jobs"]["deploygate-shard"]["parallelism"])
        told = {"CIRCLE_NODE_INDEX": str(number - 1), "CIRCLE_NODE_TOTAL": total}
        return self._job(place, "deploygate-shard", told | more)

    def merge(self, place: Workplace, more: More) -> int:
        return self._job(place, "deploygate", more)


class Jenkins:
    """A stash is unpacked where it was packed; `sh` prints what it does and ends at the first failure."""

    text = (TEMPLATES / "jenkins/Jenkinsfile").read_text(encoding="utf-8")
    scripts = re.findall(r"sh '''(.*?)'''", text, re.DOTALL)
    told: Mapping[str, str] = {
        "CHANGE": CHANGE,
        "PHASES": PHASES,
        "INVENTORY": INVENTORY,
        "SHARDS": re.findall(r"SHARDS = '(\d+)'", text)[0],
        "DEPLOYGATE_SHARDS_RUN": "jenkins-gate-17",
    }

    def shard(self, place: Workplace, number: int, more: More) -> int:
        code = place.run(("sh", "-xec"), self.scripts[0], {**self.told, "SHARD": str(number), **more})
        shutil.copytree(
            place.folder / "deploygate-out", place.top / "merge/deploygate-out", dirs_exist_ok=True
        )
        return code

    def merge(self, place: Workplace, more: More) -> int:
        return place.run(("sh", "-xec"), self.scripts[1], {**self.told, **more})


SYSTEMS: tuple[Callable[[], Any], ...] = (Kubernetes, Argo, GitHub, GitLab, Azure, CircleCI, Jenkins)
