"""Tries the chart: `python -m tests.cluster up`, and `down`, on the cluster that KUBECONFIG names.

`up` makes the namespace makegood-try with servers and a release in it, of the images that `docker compose build` made. `down`
deletes the namespace with all data.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from makegood_stack.home import Home

from .kube import Cluster, Failed, namespace
from .release import Release
from .servers import Servers

NAME = "makegood-try"
NEXT = """
The platform runs in the namespace {name}. In one terminal:

  kubectl --namespace {name} port-forward service/makegood-gateway 8080:80

In another one:

  curl http://127.0.0.1:8080/v1/policies/current -H "Authorization: Bearer $(.venv/bin/makegood token --role member --subject me)"

To delete it with all data: .venv/bin/python -m tests.cluster down
"""


def main(word: str) -> None:
    if not os.environ.get("KUBECONFIG"):
        raise Failed("set KUBECONFIG to the file of a cluster that you may use for this")
    cluster = Cluster(Path(os.environ["KUBECONFIG"]))
    if word == "down":
        cluster.kubectl("delete", "namespace", NAME)
        return
    if word != "up":
        raise Failed("say up or down")
    home = Home.find()
    cluster.kubectl("create", "--filename", "-", given=json.dumps(namespace(NAME)))
    servers = Servers(cluster.within(NAME), home, 0, os.environ.get("MAKEGOOD_TEST_IMAGE_TAG", "latest"))
    sys.stdout.write("starting PostgreSQL, Kafka, Redis and mail\n")
    servers.start()
    release = Release(servers, home.state / "cluster-values.yaml")
    release.prepare()
    sys.stdout.write("installing the chart\n")
    release.install()
    sys.stdout.write(NEXT.format(name=NAME))


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "")
    except Failed as failed:
        sys.exit(f"{failed}")
