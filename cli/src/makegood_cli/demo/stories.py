"""The demo's stories, by their names on the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from makegood_cli.demo import late_cancellation, provider_missed, why_cant_i_book
from makegood_cli.demo.stage import Stage

Story = Callable[[Stage], Awaitable[None]]

STORIES: dict[str, tuple[str, Story]] = {
    "provider-missed": (provider_missed.TITLE, provider_missed.play),
    "late-cancellation": (late_cancellation.TITLE, late_cancellation.play),
    "why-cant-i-book": (why_cant_i_book.TITLE, why_cant_i_book.play),
}
"""Title and story by name."""

SUBTITLE = "All requests go through the gateway, as from a client app. Below each step are the events, read from Kafka."


async def tell(name: str, stage: Stage) -> None:
    """Plays the story of that name."""
    title, play = STORIES[name]
    stage.screen.title(title, SUBTITLE)
    await play(stage)
