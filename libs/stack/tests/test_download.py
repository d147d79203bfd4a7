"""Downloads: continued, verified, never used half. Against a real HTTP server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from makegood_devtools.errors import UserError
from makegood_stack.download import Artifact, download, fetch_all

CONTENT = bytes(range(256)) * 4000


@dataclass
class Repository:
    """Serves CONTENT with ranges; may break connections off or serve something else."""

    ranges: list[str | None] = field(default_factory=list)
    break_after: list[int] = field(default_factory=list)
    content: bytes = CONTENT
    url: str = ""


@pytest.fixture
def repository() -> Iterator[Repository]:
    state = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(state.content) - start))
            self.end_headers()
            body = state.content[start:]
            self.wfile.write(body[: state.break_after.pop()] if state.break_after else body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/thing.jar"
    yield state
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Here(Artifact):
    """An artifact that the test's own server has."""

    url: str = ""

    def url_paths(self) -> list[str]:
        return [self.url]


def artifact(repository: Repository) -> Here:
    return Here("org.example:thing:1.0", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), repository.url)


def nothing(_: int) -> None: ...


def test_a_half_finished_download_is_continued(repository: Repository, tmp_path: Path) -> None:
    target = tmp_path / "thing.jar"
    (tmp_path / "thing.jar.part").write_bytes(CONTENT[:1000])
    download(artifact(repository), target, nothing, threading.Event())
    assert target.read_bytes() == CONTENT
    assert repository.ranges == ["bytes=1000-"]


def test_a_broken_connection_is_taken_up_again(repository: Repository, tmp_path: Path) -> None:
    repository.break_after = [500_000]
    target = tmp_path / "thing.jar"
    download(artifact(repository), target, nothing, threading.Event())
    assert target.read_bytes() == CONTENT
    assert repository.ranges[0] is None
    assert repository.ranges[1] is not None


def test_a_part_of_something_else_is_thrown_away(repository: Repository, tmp_path: Path) -> None:
    target = tmp_path / "thing.jar"
    (tmp_path / "thing.jar.part").write_bytes(b"x" * 5000)
    download(artifact(repository), target, nothing, threading.Event())
    assert target.read_bytes() == CONTENT


def test_wrong_content_is_refused_and_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.content = b"y" * len(CONTENT)
    target = tmp_path / "thing.jar"
    with pytest.raises(UserError, match="not what the lock names"):
        download(artifact(repository), target, nothing, threading.Event())
    assert not target.exists()


def test_the_shared_cache_saves_the_second_download_and_a_damaged_file_is_replaced(
    repository: Repository, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    seen: list[int] = []
    fetch_all([artifact(repository)], tmp_path / "one", shared, seen.append)
    assert sum(seen) == len(CONTENT)
    fetch_all([artifact(repository)], tmp_path / "two", shared, nothing)
    assert len(repository.ranges) == 1

    damaged = tmp_path / "two" / "thing-1.0.jar"
    damaged.unlink()
    damaged.write_bytes(b"rubbish")
    (paths,) = fetch_all([artifact(repository)], tmp_path / "two", shared, nothing)
    assert paths.read_bytes() == CONTENT


def test_no_network_is_a_clear_word(tmp_path: Path) -> None:
    away = Here("org.example:thing:1.0", 10, "0" * 64, "http://127.0.0.1:1/thing.jar")
    with pytest.raises(UserError, match="Check the network"):
        download(away, tmp_path / "thing.jar", nothing, threading.Event())
