"""Mails over one connection: what goes over the wire, and what each answer of the server means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from makegood_notifications.channels import PutOff, Refused, Trouble, Unreachable
from makegood_notifications.mail.composer import Mail
from makegood_notifications.mail.smtp import SmtpMailer, SmtpServer

MAIL = Mail("care@example.org", "ada@example.org", b"Subject: x\r\n\r\nHello.\r\n")
ENVELOPE = "MAIL FROM:<care@example.org> / RCPT TO:<ada@example.org> / DATA"


class Server:
    """Answers what a test says: `envelope` to MAIL, RCPT and DATA, `taken` to each mail. It remembers what came in one piece."""

    def __init__(self, *extensions: str, envelope: str = "250 250 354", taken: Sequence[str] = ("250",)) -> None:
        self.received: list[str] = []
        self.connections = 0
        self.port = 0
        self._extensions = extensions
        self._envelope = envelope.split()
        self._taken = list(taken)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 ready\r\n")
        waits_for_mail = False
        while piece := await reader.read(1 << 20):
            lines = piece.decode().split("\r\n")[:-1]
            self.received.append(" / ".join(lines))
            answers: list[str] = []
            if waits_for_mail:
                answers, waits_for_mail = [self._taken.pop(0)], False
            else:
                for line in lines:
                    answers += self._answer(line)
                waits_for_mail = answers[-1:] == ["354"]
            if "drop" in answers:
                answers = answers[: answers.index("drop")]
                writer.write("".join(f"{code} \r\n" for code in answers).encode())
                break
            writer.write("".join(f"{code} \r\n" for code in answers).encode())
        writer.close()

    def _answer(self, line: str) -> list[str]:
        verb = line.split()[0]
        if verb == "EHLO":
            return [*(f"250-{one}" for one in ("server", *self._extensions)), "250"]
        return [dict(zip(("MAIL", "RCPT", "DATA"), self._envelope, strict=True)).get(verb, "250")]


@asynccontextmanager
async def mailing(server: Server, timeout: float = 5) -> AsyncIterator[SmtpMailer]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    mailer = SmtpMailer(SmtpServer("127.0.0.1", listening.sockets[0].getsockname()[1], timeout=timeout))
    async with listening:
        yield mailer
        await mailer.close()


async def send(mailer: SmtpMailer, mail: Mail = MAIL) -> None:
    await mailer.send(lambda: mail)


async def test_the_commands_of_a_mail_go_out_together_if_the_server_allows_it() -> None:
    server = Server("PIPELINING", "SIZE 1000", taken=("250", "250"))
    async with mailing(server) as mailer:
        await send(mailer)
        await send(mailer)
    envelope = ENVELOPE.replace("care@example.org>", "care@example.org> SIZE=22")
    content = "Subject: x /  / Hello. / ."
    assert server.received == ["EHLO makegood", envelope, content, envelope, content, "QUIT"]


async def test_else_each_command_waits_for_its_answer() -> None:
    server = Server()
    async with mailing(server) as mailer:
        await send(mailer)
    assert server.received == ["EHLO makegood", *ENVELOPE.split(" / "), "Subject: x /  / Hello. / .", "QUIT"]


async def test_a_line_that_is_a_dot_does_not_end_the_mail() -> None:
    server = Server("PIPELINING")
    async with mailing(server) as mailer:
        await send(mailer, Mail(MAIL.sender, MAIL.recipient, b".a\r\n.\r\n..b\r\n"))
    assert server.received[2] == "..a / .. / ...b / ."


@pytest.mark.parametrize("content", [b"a\n.\nMAIL FROM:<x@example.org>\r\n", b"a\r.\r\n", b"no end"])
async def test_a_line_without_its_proper_end_is_never_sent(content: bytes) -> None:
    """Some servers end the mail at such a dot, and take the rest for commands."""
    server = Server("PIPELINING")
    async with mailing(server) as mailer:
        with pytest.raises(ValueError, match="CRLF"):
            await send(mailer, Mail(MAIL.sender, MAIL.recipient, content))
    assert not any("MAIL" in piece for piece in server.received)


@pytest.mark.parametrize("extension", ["PIPELINING", "HELP"])
@pytest.mark.parametrize(
    ("envelope", "trouble"),
    [
        ("452 503 503", PutOff),
        ("530 503 503", Unreachable),
        ("250 550 503", Refused),
        ("250 450 354", PutOff),
        ("250 250 554", Refused),
    ],
)
async def test_a_refusal_leaves_nothing_for_the_next_mail(
    extension: str, envelope: str, trouble: type[Trouble]
) -> None:
    server = Server(extension, envelope=envelope, taken=("250", "250"))
    async with mailing(server) as mailer:
        with pytest.raises(trouble):
            await send(mailer)
        server._envelope = ["250", "250", "354"]
        await send(mailer)
    assert "RSET" in server.received
    assert server.connections == 1


async def test_a_mail_for_which_no_recipient_was_taken_is_not_told() -> None:
    """A server that wants the mail all the same gets an empty one."""
    server = Server("PIPELINING", envelope="250 550 354", taken=("554",))
    async with mailing(server) as mailer:
        with pytest.raises(Refused):
            await send(mailer)
    assert server.received == ["EHLO makegood", ENVELOPE, ".", "RSET", "QUIT"]


async def test_a_mail_that_is_refused_at_its_end_is_tried_again_as_the_answer_says() -> None:
    server = Server("PIPELINING", taken=("451", "554", "250"))
    async with mailing(server) as mailer:
        with pytest.raises(PutOff):
            await send(mailer)
        with pytest.raises(Refused):
            await send(mailer)
        await send(mailer)


@pytest.mark.parametrize("envelope", ["421 drop drop", "250 421 drop"])
async def test_a_server_that_goes_away_is_unreachable(envelope: str) -> None:
    async with mailing(Server("PIPELINING", envelope=envelope)) as mailer:
        with pytest.raises(Unreachable):
            await send(mailer)


async def test_a_connection_that_was_dropped_while_idle_is_replaced() -> None:
    server = Server("PIPELINING", taken=("250", "drop", "250"))
    async with mailing(server) as mailer:
        await send(mailer)
        await send(mailer)
    assert server.connections == 2


async def test_a_new_connection_that_is_dropped_is_not_tried_twice() -> None:
    server = Server("PIPELINING", envelope="250 250 drop")
    async with mailing(server) as mailer:
        with pytest.raises(Unreachable):
            await send(mailer)
    assert server.connections == 1


async def test_an_answer_behind_a_line_that_is_none_does_not_count() -> None:
    async with mailing(Server("PIPELINING", taken=("what?\r\n250",))) as mailer:
        with pytest.raises(Unreachable):
            await send(mailer)


class SlowServer(Server):
    """Asks for the mail, and reads it once `reads_on` is set."""

    def __init__(self) -> None:
        super().__init__("PIPELINING")
        self.reads_on = asyncio.Event()
        self.mail: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await reader.readline()
        writer.write(b"250-server\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 \r\n250 \r\n354 \r\n")
        await self.reads_on.wait()
        read = bytearray()
        with suppress(ConnectionError):
            while piece := await reader.read(1 << 20):
                read += piece
        writer.close()
        self.mail.set_result(bytes(read))


async def test_what_a_server_did_not_read_in_time_is_never_sent() -> None:
    """Otherwise it would take a mail that is sent again."""
    server = SlowServer()
    content = b"Subject: x\r\n\r\n" + b"Hello.\r\n" * (4 << 20)  # more than the network holds
    async with mailing(server, timeout=2) as mailer:
        with pytest.raises(Unreachable):
            await send(mailer, Mail(MAIL.sender, MAIL.recipient, content))
        server.reads_on.set()
        async with asyncio.timeout(10):
            assert len(await server.mail) < len(content)
