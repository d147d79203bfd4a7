"""Changes what Helm renders (`helm install --post-renderer`): services run by a clock that the test can move.

In production nothing moves it, and a session that is booked now is missed in a quarter of an hour at the earliest. The script
that does it, `clocked_service.py`, is in the ConfigMap `clock`.
"""

from __future__ import annotations

import sys

import yaml


def main() -> None:
    resources = [each for each in yaml.safe_load_all(sys.stdin) if each]
    for each in resources:
        labels = each.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})
        if each["kind"] == "Deployment" and labels.get("makegood/role"):
            pod = each["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            container["command"] = ["python", "/clock/clocked_service.py", labels["makegood/service"]]
            container["volumeMounts"].append({"name": "clock", "mountPath": "/clock", "readOnly": True})
            pod["volumes"].append({"name": "clock", "configMap": {"name": "clock"}})
    yaml.safe_dump_all(resources, sys.stdout)


if __name__ == "__main__":
    main()
