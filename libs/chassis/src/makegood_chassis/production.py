"""What production requires of addresses and secrets.

An unencrypted connection is accepted only on the loopback interface, where a proxy on the same machine may encrypt it.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from makegood_chassis.checked_settings import Fault

SHORTEST_SECRET: Final = 12
_LEFT_OVER: Final = 8
_KNOWN: Final = (
    "availability", "booking", "credits", "notifications", "makegood", "postgres", "redis", "kafka", "stripe", "whatsapp",
    "administrator", "admin", "root", "user", "guest", "service", "server", "owner", "login", "database",
    "passphrase", "password", "passwort", "passw0rd", "p4ssw0rd", "secret", "s3cret", "changeme", "change", "default", "example",
    "development", "production", "staging", "test", "temp", "letmein", "welcome", "hunter2", "qwertyuiop", "qwerty", "asdf",
    "1234567890", "123456789", "12345678", "123456", "12345", "1234", "0000",
)  # fmt: skip
"""Words that attackers try first."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: a loopback address, `localhost`, or the path of a socket."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def weakness(secret: str, *names: str) -> str:
    """Why a secret is easy to guess, as advice. Empty if it is not. `names`: the login, the database and so on."""
    if len(secret) < SHORTEST_SECRET:
        return f"the secret is shorter than {SHORTEST_SECRET} characters; generate one: openssl rand -base64 24 | tr '+/' '-_'"
    left = secret.casefold()
    for word in (*sorted((name.casefold() for name in names if name), key=len, reverse=True), *_KNOWN):
        left = left.replace(word, "")
    if len(left) < _LEFT_OVER or len(set(left)) < 5:
        return "the secret is easy to guess; generate one: openssl rand -base64 24 | tr '+/' '-_'"
    return ""


def unreadable(path: str) -> str:
    """Why a file cannot be read, as advice. Empty if it can."""
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"the file cannot be read ({error.strerror}); check its path and permissions"
    return ""


def not_certificates(path: str) -> str:
    """Why a file does not contain certificates in PEM form, as advice. Empty if it does."""
    if why := unreadable(path):
        return why
    try:
        ssl.create_default_context(cafile=path)
    except OSError:
        return "the file has no certificate in PEM form"
    return ""


def authorities(variable: str, path: str, links: Mapping[str, str], *, production: bool) -> Iterator[Fault]:
    """The faults of a file of authorities for the addresses in `links`, by their variables. Whoever sets the file believes
    that they are protected. An empty one has none.
    """
    given = {name: url for name, url in links.items() if url}
    if not path:
        return
    if why := not_certificates(path):
        yield Fault(variable, why)
    elif given and not any(url.startswith(("https://", "rediss://")) for url in given.values()):
        if production and any("://" in url and not is_loopback(host(url)) for url in given.values()):
            return  # the address itself is refused
        yield Fault(variable, f"{' and '.join(given)} without TLS; change the address, or unset this")


def servers(list_of_them: str) -> list[str] | None:
    """The hosts of `host:port[,host:port]`. None if it cannot be parsed."""
    hosts = []
    for server in filter(None, list_of_them.split(",")):
        parts = split(f"kafka://{server.strip()}")
        if parts is None or not parts.hostname or not parts.port or parts.username is not None or parts.path:
            return None
        hosts.append(parts.hostname)
    return hosts


def split(url: str) -> SplitResult | None:
    """The parts of an address. None if it is invalid. Python's own errors would quote it."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname
    except ValueError:
        return None
    return parts


def host(url: str) -> str:
    """The host of an address. Empty if it has none."""
    parts = split(url)
    return (parts.hostname or "") if parts else ""


def web_address(
    variable: str, url: str, *, production: bool, loopback: bool = False, only: str = ""
) -> Iterator[Fault]:
    """The faults of an http(s) address that is not a secret. An empty one has none. `loopback`: http is accepted there
    even in production. `only`: the one host that production accepts.
    """
    if not url:
        return
    parts = split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        yield Fault(variable, "must be an address such as https://example.org")
    elif "@" in parts.netloc:
        yield Fault(variable, "must not contain a login: this setting is not a secret and may be displayed")
    elif production and only and (parts.scheme, parts.netloc) != ("https", only):
        yield Fault(variable, f"must be https://{only} in production, so that the secret reaches nobody else")
    elif production and parts.scheme != "https" and not (loopback and is_loopback(parts.hostname)):
        yield Fault(
            variable,
            "must begin with https:// in production" + (" unless it is on the loopback interface" if loopback else ""),
        )


def database_hosts(url: str) -> list[str] | None:
    """The hosts of PostgreSQL's address, of which there may be several. None if it cannot be parsed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.netloc.count("@") > 1:
        # Parsers disagree about which of them ends the secret.
        return None
    hosts = []
    for each in parts.netloc.rpartition("@")[2].split(","):
        name = unquote(each)
        found = None if name.startswith("/") else split(f"//{each}")
        if found is None and not name.startswith("/"):
            return None
        hosts.append(name if found is None else found.hostname or "")
    return hosts


def login(url: str) -> str:
    """The login in PostgreSQL's address. Empty if there is none."""
    if not url or database_hosts(url) is None:
        return ""
    parts = urlsplit(url)
    return unquote(parts.username or "") or dict(parse_qsl(parts.query)).get("user", "")


def postgresql(variable: str, url: str) -> Iterator[Fault]:
    """The faults of PostgreSQL's address in production. None for one that is empty or cannot be parsed."""
    hosts = database_hosts(url)
    if not url or hosts is None:
        return
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if hosts == [""]:
        hosts = [options.get("host", "")]
    if "service" in options or not all(hosts):
        yield Fault(variable, "must include the host: postgresql://login:secret@host:port/database")
        return
    on_loopback = all(map(is_loopback, hosts))
    if not on_loopback and options.get("sslmode") != "verify-full":
        yield Fault(variable, "must end with ?sslmode=verify-full&sslrootcert=/path/of/authority.pem")
    elif not on_loopback and (why := not_certificates(options.get("sslrootcert", ""))):
        yield Fault(variable, f"sslrootcert must be the file of the server's certificate authority: {why}")
    secret = unquote(parts.password or "") or options.get("password", "")
    if secret and (why := weakness(secret, parts.username or "", parts.path.strip("/"))):
        yield Fault(variable, why)
    elif not secret and not {"sslcert", "passfile"} & options.keys() and not on_loopback:
        yield Fault(variable, "must include a password, or sslcert and sslkey of a client certificate")


_CHECKED: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}


def redis(variable: str, url: str) -> Iterator[Fault]:
    """The faults of Redis' address in production. An empty one has none."""
    parts = split(url)
    if parts is None or not url:
        return
    options = dict(parse_qsl(parts.query))
    on_loopback = parts.scheme == "unix" or is_loopback(parts.hostname or "")
    secret = unquote(parts.password or "") or options.get("password", "")
    if not on_loopback and parts.scheme != "rediss":
        yield Fault(variable, "must begin with rediss:// unless it is on the loopback interface")
    elif any(value.lower() != _CHECKED.get(name, value.lower()) for name, value in parse_qsl(parts.query)):
        yield Fault(variable, "must not turn off verification of the server's certificate")
    if secret and (why := weakness(secret, parts.username or "")):
        yield Fault(variable, why)
    elif not secret and not on_loopback:
        yield Fault(variable, "must include a password: rediss://login:secret@host:port/0")
