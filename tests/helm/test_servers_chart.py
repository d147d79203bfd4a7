"""The chart of the servers: it renders to what is checked in, and its topics and users are those of the contracts."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml
from makegood_contracts.kafka_users import users
from makegood_contracts.topics import SERVICES, TOPICS
from makegood_stack import sizing
from makegood_testkit import chart, helm, servers_chart

SETS = tuple(servers_chart.value_sets())


@cache
def objects(values: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Every object, by kind and name."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for each in yaml.safe_load_all(servers_chart.golden(servers_chart.value_sets()[values])):
        if each:
            found.setdefault(each["kind"], {})[each["metadata"]["name"]] = each
    return found


def refused(*sets: str) -> str:
    """What Helm says about values that it does not take."""
    with pytest.raises(ValueError) as refusal:
        helm.template(servers_chart.CHART, sets=sets)
    return str(refusal.value)


@pytest.mark.parametrize("values", SETS)
def test_the_chart_renders_to_the_golden(values: str) -> None:
    expected = (servers_chart.GOLDENS / f"{values}.yaml").read_text()
    rendered = servers_chart.golden(servers_chart.value_sets()[values])
    assert rendered == expected, f"look at what changed: run `{servers_chart.COMMAND}`, git diff"


def test_the_chart_repeats_the_contracts() -> None:
    assert servers_chart.KAFKA.read_text() == servers_chart.kafka(), f"run: {servers_chart.COMMAND}"


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_wrong(values: str) -> None:
    file = servers_chart.value_sets()[values]
    lint = helm.run("lint", "--strict", "--kube-version", helm.KUBERNETES, servers_chart.CHART, "--values", file)
    assert lint.returncode == 0, lint.stdout + lint.stderr


@pytest.mark.rule("SEC-7")
@pytest.mark.parametrize(("values", "prefix"), [("small", ""), ("production", ""), ("shared-kafka", "care.")])
def test_users_have_exactly_the_rights_of_the_contracts(values: str, prefix: str) -> None:
    rendered = {
        name: {
            (acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"], operation)
            for acl in user["spec"]["authorization"]["acls"]
            for operation in acl["operations"]
        }
        for name, user in objects(values)["KafkaUser"].items()
    }
    assert rendered == {
        user.name: {
            (right.kind, right.name, "prefix" if right.prefixed else "literal", right.operation)
            for right in user.rights
        }
        for user in users(prefix)
    }


@pytest.mark.parametrize(
    ("values", "prefix", "copies"), [("small", "", 1), ("production", "", 3), ("shared-kafka", "care.", 3)]
)
def test_topics_are_those_of_the_contracts(values: str, prefix: str, copies: int) -> None:
    safe = {"min.insync.replicas": 2} if copies > 1 else {}
    assert {name: topic["spec"] for name, topic in objects(values)["KafkaTopic"].items()} == {
        prefix + topic.name: {"partitions": topic.partitions, "replicas": copies, "config": {**topic.settings, **safe}}
        for topic in TOPICS
    }


@pytest.mark.rule("SEC-7")
def test_nobody_reaches_a_server_without_tls_and_a_login() -> None:
    for values in ("small", "production"):
        (kafka,) = objects(values)["Kafka"].values()
        broker = kafka["spec"]["kafka"]
        assert [(each["tls"], each["authentication"]["type"]) for each in broker["listeners"]] == [
            (True, "scram-sha-512"),
            (True, "tls"),
        ]
        assert broker["authorization"] == {"type": "simple"}, "what is granted to nobody is refused"
        assert broker["config"]["auto.create.topics.enable"] is False
        (cluster,) = objects(values)["Cluster"].values()
        rules = cluster["spec"]["postgresql"]["pg_hba"]
        assert (rules[0], rules[-1]) == ("hostnossl all all all reject", "host all all all reject")
        assert all(rule.startswith("hostssl makegood_") and rule.endswith("scram-sha-256") for rule in rules[1:-1])


def test_each_service_has_a_database_and_its_four_logins() -> None:
    (cluster,) = objects("production")["Cluster"].values()
    logins = {role["name"] for role in cluster["spec"]["managed"]["roles"]}
    assert logins == {f"{service}{job}" for service in SERVICES for job in ("", "_owner", "_pruner", "_auditor")}
    assert {each["spec"]["name"]: each["spec"]["owner"] for each in objects("production")["Database"].values()} == {
        f"makegood_{service}": f"{service}_owner" for service in SERVICES
    }
    assert [name for name, each in objects("production")["Database"].items() if "extensions" in each["spec"]] == [
        "makegood-availability"
    ]


def test_postgresql_has_room_for_the_pods_that_production_begins_with() -> None:
    (cluster,) = objects("production")["Cluster"].values()
    pods = yaml.safe_load(chart.value_sets()["production"].read_text())
    serve, work = (pods[role]["autoscaling"]["minReplicas"] for role in ("serve", "work"))
    each = serve * (sizing.POOL + sizing.OF_SERVE) + work * (sizing.POOL + sizing.OF_WORK)
    assert int(cluster["spec"]["postgresql"]["parameters"]["max_connections"]) > len(SERVICES) * each


def test_uninstalling_deletes_no_data() -> None:
    for kind, named in objects("production").items():
        for each in named.values():
            kept = each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
            assert kept == (kind != "KafkaUser"), (kind, each["metadata"]["name"])


def test_wrong_values_are_refused() -> None:
    assert "there is no user nobody" in refused("kafka.authenticationOf.nobody=tls")
    assert "kafka" in refused("kafka.authentication=plain")
    assert "brokerz" in refused("kafka.brokerz.replicas=2")
    assert "topicPrefix" in refused("kafka.topicPrefix=Care_")
