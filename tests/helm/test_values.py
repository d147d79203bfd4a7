"""Wrong values are refused before anything is installed, with the place and what is allowed."""

from __future__ import annotations

import pytest
import yaml
from makegood_contracts.kafka_users import users
from makegood_testkit import helm
from makegood_testkit.chart import CHART, ROOT, value_sets

WRONG = [
    ("settings.KAFKA_BOOTSTRAP_SERVER=kafka:9092", "'KAFKA_BOOTSTRAP_SERVER' not allowed"),
    (
        "settings.KAFKA_SECURITY_PROTOCOL=TLS",
        "'/settings/KAFKA_SECURITY_PROTOCOL': value must be one of 'PLAINTEXT', 'SSL'",
    ),
    ("settings.JWKS_URL=keys.json", "'/settings/JWKS_URL'"),
    ("settings.JWKS_URL=null", "'/settings/JWKS_URL': got null, want string"),
    ("settings.HTTP_PORT=80", "'HTTP_PORT' not allowed"),
    ("settings.STRIPE_API_BASE=https://api.stripe.com", "'STRIPE_API_BASE' not allowed"),
    ("settings.REDIS_URL=redis://redis", "'REDIS_URL' not allowed"),
    ("settings.STOP_TIMEOUT=soon", "'/settings/STOP_TIMEOUT': got string, want"),
    ("services.booking.settings.SMTP_HOST=mail", "'SMTP_HOST' not allowed"),
    ("services.booking.secrets.REDIS_URL.key=", "'/services/booking/secrets/REDIS_URL/key'"),
    ("services.booking.secrets.LOG_LEVEL.key=x", "'LOG_LEVEL' not allowed"),
    ("services.booking.replicas=2", "'replicas' not allowed"),
    ("services.billing.settings.LOG_LEVEL=INFO", "'billing' not allowed"),
    ("files.ca\\.pem.key=ca.crt", "'/files/ca.pem'"),
    ("serve.replicas=0", "'/serve/replicas': minimum: got 0, want 1"),
    ("work.autoscaling.maxReplicas=13", "has 12 partitions, and each has one reader: set 12 or less"),
    ("services.credits.work.autoscaling.minReplicas=7", "minReplicas (7) is more than maxReplicas (6)"),
    ("services.credits.settings.KAFKA_SASL_USERNAME=credits", "set it to null, or use SASL_SSL"),
    ("gateway.ingress.enabled=true", "'/gateway/ingress/host'"),
    ("gateway.httpRoute.enabled=true", "'/gateway/httpRoute/parentRefs'"),
    (
        "gateway.tls.secret=tls,gateway.httpRoute.enabled=true,gateway.httpRoute.parentRefs[0].name=public",
        "set one of the two",
    ),
    ("gateway.options.rate-limits=1", "'rate-limits'"),
    ("gateway.service.port=0", "'/gateway/service/port': minimum: got 0, want 1"),
    ("images.digests.booking=latest", "'/images/digests/booking'"),
    (
        "networkPolicies.servers.kafka.ports[0]=broker",
        "'/networkPolicies/servers/kafka/ports/0': got string, want integer",
    ),
    ("operations.backup.enabled=true", "'/operations/backup/claim'"),
    ("operations.audit.schedule=daily", "'/operations/audit/schedule'"),
    ("operations.secrets.STRIPE_SECRET_KEY.key=x", "'STRIPE_SECRET_KEY' not allowed"),
    ("autoscale=true", "'autoscale' not allowed"),
]


@pytest.mark.parametrize(("wrong", "advice"), WRONG, ids=[wrong for wrong, _ in WRONG])
def test_a_wrong_value_is_refused_with_its_place(wrong: str, advice: str) -> None:
    with pytest.raises(ValueError, match="Error:") as refused:
        helm.template(CHART, value_sets()["small"], sets=(wrong,))
    assert advice in str(refused.value)


def test_without_values_helm_names_what_is_needed() -> None:
    with pytest.raises(ValueError, match="missing properties 'KAFKA_BOOTSTRAP_SERVERS', 'JWKS_URL', 'PUBLIC_BASE_URL'"):
        helm.template(CHART)


def test_each_login_at_kafka_is_a_user_of_the_contracts() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    of_services = {name: each["settings"]["KAFKA_SASL_USERNAME"] for name, each in defaults["services"].items()}
    known = {user.name for user in users()}
    assert of_services == {name: name for name in defaults["services"]}
    operations = defaults["operations"]
    jobs = {defaults["topics"]["settings"]["KAFKA_SASL_USERNAME"], defaults["keda"]["username"]}
    jobs |= {
        operations["settings"]["KAFKA_SASL_USERNAME"],
        operations["console"]["settings"]["KAFKA_REDRIVE_SASL_USERNAME"],
    }
    assert jobs | set(of_services) < known


def test_the_guide_lists_every_key_of_every_secret() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    operations = defaults["operations"]
    places = [defaults, defaults["topics"], *defaults["services"].values(), operations, operations["console"]]
    references = [each for place in places for each in place["secrets"].values()] + [defaults["keda"]["password"]]
    guide = (ROOT / "docs" / "how-to" / "kubernetes.md").read_text()
    assert {each["key"] for each in references if f"`{each['key']}`" not in guide} == set()
    own = {each["secret"] for each in references} - {f"makegood-{service}" for service in defaults["services"]}
    assert {name for name in own if f"`{name}`" not in guide} == set()
