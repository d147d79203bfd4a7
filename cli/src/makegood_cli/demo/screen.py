"""Prints a story on the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from makegood_devtools.client import Refused
from makegood_stack.ticker import Passed
from rich.console import Console
from rich.markup import escape
from rich.table import Table

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
        width = min(max(self.console.width, 60), 110)
        for line in textwrap.wrap(text, width, initial_indent="   ", subsequent_indent="   ") or [""]:
            self.console.print(escape(line))

    def request(self, who: str, method: str, path: str, answer: str) -> None:
        self.console.print(f"   [dim]{escape(who):<9}[/] {method} {escape(path)}  [bold]→ {escape(answer)}[/]")

    def refused(self, who: str, method: str, path: str, refusal: Refused) -> None:
        """Prints a request that was refused, with the problem's own text."""
        said = f"{refusal.status} {refusal.problem.get('type', refusal.slug)}"
        self.console.print(f"   [dim]{escape(who):<9}[/] {method} {escape(path)}  [bold red]→ {escape(said)}[/]")
        self.said(str(refusal.problem.get("detail") or refusal.problem.get("title", "")))

    def reason(self, reason: dict[str, Any]) -> None:
        """Prints a reason for a refusal, with its remedy."""
        remedy = reason["remedy"]
        self.console.print(f"   ✗ [bold]{escape(reason['code'])}[/]  {escape(reason['detail'])}")
        self.console.print(
            f"     remedy: [bold green]{remedy['action']}[/]  [dim]{escape(remedy.get('href') or '')}[/]"
        )

    def mail(self, mail: dict[str, Any]) -> None:
        """Prints an e-mail that was received."""
        files = ", ".join(attachment["FileName"] for attachment in mail["Attachments"])
        self.said(f"✉  {mail['Subject']}" + (f"  (attached: {files})" if files else ""))

    def events(self, seen: Iterable[Passed]) -> None:
        """Prints one line per event: topic, name, key and latency. Lines are not truncated on a narrow terminal."""
        rows = list(seen)
        topics, names = (max((len(text) for text in texts), default=0) for texts in _columns(rows))
        for item in rows:
            colour = colour_of(item.topic.partition(".")[0])
            self.console.print(
                f"   [{colour}]{item.topic:<{topics}}  {item.name:<{names}}[/]"
                f"  [dim]key {escape(_short(item.received.key)):<16} {item.latency * 1000:4.0f} ms[/]"
            )

    def list(self, rows: Iterable[tuple[str, str]]) -> None:
        table = Table.grid(padding=(0, 2))
        for left, right in rows:
            table.add_row(f"   [bold]{escape(left)}[/]", escape(right))
        self.console.print(table)


def _columns(rows: list[Passed]) -> tuple[list[str], list[str]]:
    return [item.topic for item in rows], [item.name for item in rows]


def colour_of(service: str) -> str:
    return _COLOURS.get(service, "white")


def _short(key: str) -> str:
    return key if len(key) <= 16 else f"…{key[-12:]}"


def local(instant: str | datetime, zone: str) -> str:
    """Formats an instant in the time zone `zone`."""
    moment = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return f"{moment.astimezone(ZoneInfo(zone)):%a %d %b %Y %H:%M} ({zone})"


def credit_line(credits: dict[str, Any]) -> str:
    return f"{credits['available']} available, {credits['held']} held"
