"""What `--scale` means: how many processes of which role, on which ports, and where the gateway sends requests."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml
from makegood_devtools.errors import UserError
from makegood_stack.config import PARTS, Choices, Stack
from makegood_stack.home import Home, find_root
from makegood_stack.ports import LISTEN, SERVICES
from makegood_stack.processes import Running
from makegood_stack.services import _addresses, service_specs
from makegood_stack.up import check_ports
from makegood_testkit.platform import free_offset


def stack(tmp_path: Path, *scaled: str, role: str | None = None, earlier: Choices | None = None) -> Stack:
    choices = (earlier or Choices()).changed(None, role, list(scaled))
    return Stack(Home(root=find_root(), state=tmp_path), choices)


def run(stack: Stack, service: str) -> dict[str, str]:
    """The service's processes with their roles, as they would be started."""
    return {spec.name: spec.command[-1] for spec in service_specs(stack, service)}


def test_a_service_alone_is_scaled_in_the_role_of_the_stack(tmp_path: Path) -> None:
    assert run(stack(tmp_path), "booking") == {"booking": "all"}
    assert run(stack(tmp_path, "booking=2"), "booking") == {"booking": "all", "booking-2": "all"}
    assert run(stack(tmp_path, "booking=2", role="work"), "booking") == {"booking": "work", "booking-2": "work"}


def test_a_role_that_is_scaled_leaves_one_process_for_the_other_role(tmp_path: Path) -> None:
    scaled = stack(tmp_path, "credits-work=2", "booking-serve=2", "booking-work=3")
    assert run(scaled, "credits") == {"credits-serve": "serve", "credits-work": "work", "credits-work-2": "work"}
    assert list(run(scaled, "booking").values()) == ["serve", "serve", "work", "work", "work"]
    assert run(scaled, "availability") == {"availability": "all"}


def test_the_gateway_balances_over_the_processes_that_serve(tmp_path: Path) -> None:
    scaled = stack(tmp_path, "credits-work=2", "booking-serve=2")
    assert _addresses(scaled, "booking") == ["127.0.0.1:8101/9101", "127.0.0.1:8111/9111"]
    assert _addresses(scaled, "credits") == ["127.0.0.1:8103/9103"]


def test_a_process_that_only_works_has_only_a_probe_port(tmp_path: Path) -> None:
    (serving, working) = service_specs(stack(tmp_path, "credits-work=1"), "credits")
    assert list(serving.ports.values()) == [8103, 9103]
    assert working.ports == {"credits-work's probes": 9193}


def test_no_two_processes_ever_share_a_port(tmp_path: Path) -> None:
    full = stack(tmp_path, *(f"{service}-{role}=9" for service in SERVICES for role in ("serve", "work")))
    ports = [port for service in SERVICES for spec in service_specs(full, service) for port in spec.ports.values()]
    ports += [port for part in PARTS if part not in SERVICES for port in full.ports.of_part(part).values()]
    assert len(ports) == len(set(ports))


def test_a_later_word_replaces_an_earlier_one_of_the_same_service(tmp_path: Path) -> None:
    split = Choices().changed(None, None, ["booking-serve=2", "booking-work=2", "credits=2"])
    assert split.words == "--scale booking-serve=2 --scale booking-work=2 --scale credits=2"
    assert run(stack(tmp_path, "booking=1", earlier=split), "booking") == {"booking": "all"}
    assert run(stack(tmp_path, "credits-work=2", earlier=split), "credits") == {
        "credits-serve": "serve",
        "credits-work": "work",
        "credits-work-2": "work",
    }


@pytest.mark.parametrize("option", ["booking", "booking=0", "booking=10", "booking-all=2", "piano=2", "-serve=2"])
def test_a_wrong_value_is_refused_with_what_is_allowed(option: str) -> None:
    with pytest.raises(UserError, match="SERVICE-serve=N or SERVICE-work=N with a service of booking, availability"):
        Choices().changed(None, None, [option])


def test_a_service_cannot_be_split_and_whole_at_once() -> None:
    with pytest.raises(UserError, match="choose one"):
        Choices().changed(None, None, ["booking=2", "booking-serve=2"])


class _Compose(yaml.SafeLoader):
    """Reads what Compose merges: values with its tags `!reset` and `!override`, too."""


def _untagged(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    return loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else []


for _tag in ("!reset", "!override"):
    _Compose.add_constructor(_tag, _untagged)


def test_containers_by_role_have_both_roles_of_each_service_and_the_gateway_finds_those_that_serve() -> None:
    file = find_root() / "deploy" / "containers" / "by-role.yml"
    services = yaml.load(file.read_text(), Loader=_Compose)["services"]
    for service in SERVICES:
        assert services[service]["scale"] == 0
        for role in ("serve", "work"):
            assert services[f"{service}-{role}"]["extends"]["service"] == service
            assert services[f"{service}-{role}"]["command"] == [role]
        assert services[f"{service}-serve"]["networks"]["default"]["aliases"] == [service]
        assert "networks" not in services[f"{service}-work"]
        assert f"{service}-serve" in services["gateway"]["depends_on"]


def test_a_port_that_a_process_of_the_stack_holds_is_free_for_the_one_that_replaces_it(tmp_path: Path) -> None:
    """`booking` holds the port that `booking-serve` gets. Somebody else's process is named."""
    offset = free_offset()
    port = 8101 + offset
    base = Stack(Home(root=find_root(), state=tmp_path), Choices(port_offset=offset, scale={"booking-serve": 1}))
    running = {"booking": Running("booking", 1, "", "", {"booking": port})}
    with socket.create_server((LISTEN, port)):
        check_ports(base, frozenset({"booking"}), running)
        with pytest.raises(UserError, match=f"port {port} for booking-serve is taken"):
            check_ports(base, frozenset({"booking"}), {})
