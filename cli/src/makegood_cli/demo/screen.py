"""How a story looks on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from makegood_cli.demo.ticker import Seen

_COLOURS = {"booking": "cyan", "availability": "green", "credits": "yellow", "notifications": "magenta"}


class Screen:
    """Prints chapters, requests with their answers, and events."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._chapter = 0

    def title(self, text: str, about: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{escape(text)}[/]", align="left", style="dim")
        self.console.print(escape(about), style="dim")

    def chapter(self, text: str) -> None:
        self._chapter += 1
        self.console.print(f"\n[bold]{self._chapter}. {escape(text)}[/]")

    def said(self, text: str) -> None:
        self.console.print(f"   {escape(text)}")

    def request(self, who: str, method: str, path: str, answer: str) -> None:
        self.console.print(f"   [dim]{escape(who):<9}[/] {method} {escape(path)}  [bold]→ {escape(answer)}[/]")

    def events(self, seen: Iterable[Seen]) -> None:
        """One line an event: topic, key, name, latency."""
        table = Table.grid(padding=(0, 2))
        for item in seen:
            colour = _COLOURS.get(item.topic.partition(".")[0], "white")
            table.add_row(
                "   [dim]topic[/]",
                f"[{colour}]{item.topic}[/]",
                f"[dim]key {escape(_short(item.received.key))}[/]",
                f"[{colour}]{item.name}[/]",
                f"[dim]{item.latency * 1000:.0f} ms[/]",
            )
        if table.row_count:
            self.console.print(table)

    def list(self, rows: Iterable[tuple[str, str]]) -> None:
        table = Table.grid(padding=(0, 2))
        for left, right in rows:
            table.add_row(f"   [bold]{escape(left)}[/]", escape(right))
        self.console.print(table)


def _short(key: str) -> str:
    return key if len(key) <= 20 else f"…{key[-12:]}"


def local(instant: str | datetime, zone: str) -> str:
    """An instant as a person in `zone` reads it."""
    moment = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return f"{moment.astimezone(ZoneInfo(zone)):%a %d %b %Y %H:%M} ({zone})"


def credit_line(credits: dict[str, Any]) -> str:
    return f"{credits['available']} available, {credits['held']} held"
