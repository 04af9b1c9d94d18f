"""Examples that use the files in `templates/`: what they name must be there. Each function returns what is wrong, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from page_examples import ROOT

TEMPLATES = ROOT / "templates"


def known(words: Sequence[str]) -> bool:
    """Tell whether `of_command` can say something about a command: it names a file, or a chart."""
    return (words[0] in ("kubectl", "podman") and "-f" in words) or words[0] == "helm"


def of_command(program: str, words: Sequence[str]) -> str:
    """Check the files of `kubectl -f` and `podman -f`, and the chart and the values of `helm`."""
    if program == "helm":
        return _of_chart(words)
    for option, file in pairwise(words):
        if option != "-f":
            continue
        places = [ROOT / file, *TEMPLATES.glob(f"*/{file}")]
        if not any(place.is_file() for place in places):
            return f"there is no template {file}"
    return ""


def _of_chart(words: Sequence[str]) -> str:
    chart = next((ROOT / word for word in words if word.startswith("templates/")), Path())
    if not (chart / "Chart.yaml").is_file():
        return "the chart is not there"
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    for option, setting in pairwise(words):
        found = values
        for key in setting.partition("=")[0].split(".") if option == "--set" else ():
            if not isinstance(found, Mapping) or key not in found:
                return f"the chart has no value {setting}"
            found = found[key]
    return ""


def of_pipeline(data: Mapping[str, Any]) -> str | None:
    """Check the inputs of a GitLab component and the parameters of an Azure template. None: it is neither."""
    wrong = []
    uses = [*data.get("include", ()), *data.get("jobs", ())]
    if not uses or not all(isinstance(one, Mapping) and {"component", "template"} & set(one) for one in uses):
        return None
    for one in uses:
        if "component" in one:
            name = re.sub(r".*/(.*)@.*", r"\1", one["component"])
            head = (TEMPLATES / f"{name}.yml").read_text(encoding="utf-8").partition("\n---\n")[0]
            there, given = yaml.safe_load(head)["spec"]["inputs"], one["inputs"]
            needed = {name for name, about in there.items() if "default" not in about}
        else:
            whole = yaml.safe_load((TEMPLATES / "azure" / one["template"]).read_text(encoding="utf-8"))
            there, given = {about["name"]: about for about in whole["parameters"]}, one["parameters"]
            needed = {name for name, about in there.items() if "default" not in about}
        wrong += [f"there is no input {name}" for name in set(given) - set(there)]
        wrong += [f"the input {name} is missing" for name in needed - set(given)]
    return "; ".join(sorted(wrong))
