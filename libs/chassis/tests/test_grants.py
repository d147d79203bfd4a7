"""Grants make what is stated the whole of what a login may do, whatever was granted before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from makegood_chassis.grants import Allowed, Logins, NotTheOwner, apply, login_of, require_ownership

pytestmark = pytest.mark.rule("SEC-7")

SCHEMA = """
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE forgotten (id integer);
CREATE VIEW latest AS SELECT max(at) FROM notes;
CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
"""
GRANTS = {
    "notes": Allowed(
        "SELECT, INSERT (text)", pruner="SELECT (at), DELETE", auditor="SELECT (id)", development="UPDATE (text)"
    ),
    "latest": Allowed("SELECT"),
}
READ, WRITE, CHANGE = (
    "SELECT text FROM public.notes",
    "INSERT INTO public.notes (text) VALUES ('a')",
    "UPDATE public.notes SET text = 'b'",
)
PRUNE, COUNT, PEEK = (
    "DELETE FROM public.notes WHERE at < now() - interval '1 day'",
    "SELECT count(id) FROM public.notes",
    "SELECT * FROM public.latest",
)
STATEMENTS = (
    READ,
    WRITE,
    CHANGE,
    PRUNE,
    COUNT,
    PEEK,
    "SELECT * FROM public.forgotten",
    "SELECT public.shout('a')",
    "CREATE TABLE public.x ()",
)
LOGINS = Logins("jotter", "jotter_pruner")
Session = asyncpg.Connection


async def _prepare(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()


@pytest_asyncio.fixture
async def owner(database_factory: Any, postgres_admin: str) -> AsyncIterator[Session]:
    """The owner's session, in a cluster that has the other logins."""
    admin = await asyncpg.connect(postgres_admin)
    there = {row[0] for row in await admin.fetch("SELECT rolname FROM pg_roles")}
    for role in {"jotter", "jotter_pruner", "jotter_auditor", "stranger"} - there:
        await admin.execute(f"CREATE ROLE {role}")
        # Only so that one session can try what each of them may do.
        await admin.execute(f"GRANT {role} TO CURRENT_USER")
    await admin.close()
    connection = await asyncpg.connect(await database_factory("diary", _prepare))
    yield connection
    await connection.close()


async def put_in_force(owner: Session, logins: Logins | None = LOGINS, *, development: bool = False) -> None:
    async with owner.transaction():
        await apply(owner, GRANTS, logins, development=development)


@pytest_asyncio.fixture
async def may(owner: Session, postgres_admin: str) -> AsyncIterator[Any]:
    """`await may("jotter")`: which of STATEMENTS the role can do."""
    database = await owner.fetchval("SELECT current_database()")
    session = await asyncpg.connect(postgres_admin, database=database)

    async def may(role: str) -> set[str]:
        done = set()
        for statement in STATEMENTS:
            step = session.transaction()
            await step.start()
            await session.execute(f"SET LOCAL ROLE {role}")
            try:
                await session.execute(statement)
            except asyncpg.InsufficientPrivilegeError:
                pass
            else:
                done.add(statement)
            finally:
                await step.rollback()
        return done

    yield may
    await session.close()


async def test_each_login_may_do_what_is_stated_and_nothing_else(owner: Session, may: Any) -> None:
    await put_in_force(owner)
    assert await may("jotter") == {READ, WRITE, COUNT, PEEK}
    assert await may("jotter_pruner") == {PRUNE}
    assert await may("jotter_auditor") == {COUNT}
    assert await may("stranger") == set()
    assert await may("diary") == set(STATEMENTS)


async def test_what_was_granted_by_hand_is_taken_back(owner: Session, may: Any) -> None:
    await owner.execute("GRANT ALL ON notes, forgotten TO PUBLIC, jotter, jotter_pruner")
    await owner.execute("GRANT UPDATE (text) ON notes TO jotter; GRANT ALL ON FUNCTION shout TO jotter")
    await owner.execute("GRANT CREATE ON SCHEMA public TO jotter")
    await put_in_force(owner)
    assert await may("jotter") == {READ, WRITE, COUNT, PEEK}
    assert await may("jotter_pruner") == {PRUNE}
    assert await may("stranger") == set()


async def test_development_may_more_and_production_takes_it_back(owner: Session, may: Any) -> None:
    await put_in_force(owner, development=True)
    assert await may("jotter") == {READ, WRITE, CHANGE, COUNT, PEEK}
    await put_in_force(owner)
    assert await may("jotter") == {READ, WRITE, COUNT, PEEK}


async def test_a_service_without_a_pruner_prunes_with_its_own_login(owner: Session, may: Any) -> None:
    await put_in_force(owner, Logins("jotter", "jotter"))
    assert await may("jotter") == {READ, WRITE, PRUNE, COUNT, PEEK}


async def test_one_login_for_everything_keeps_what_an_owner_has(owner: Session, may: Any) -> None:
    for logins in (Logins("diary", "diary"), None):
        await put_in_force(owner, logins)
        assert await may("diary") == set(STATEMENTS)
    assert await may("stranger") == set()


async def test_grants_that_cannot_be_change_nothing(owner: Session, may: Any) -> None:
    await put_in_force(owner)
    with pytest.raises(asyncpg.UndefinedTableError):
        async with owner.transaction():
            await apply(owner, {"nowhere": Allowed("SELECT")}, LOGINS, development=False)
    assert await may("jotter") == {READ, WRITE, COUNT, PEEK}


async def test_who_does_not_own_the_tables_is_told_what_to_do(owner: Session, postgres_admin: str) -> None:
    await require_ownership(owner)
    database = await owner.fetchval("SELECT current_database()")
    admin = await asyncpg.connect(postgres_admin, database=database)
    try:
        await admin.execute("ALTER TABLE notes OWNER TO stranger")
        with pytest.raises(NotTheOwner, match='REASSIGN OWNED BY "stranger" TO "diary";'):
            await require_ownership(owner)
        await require_ownership(admin)  # whoever may do everything may this, too
    finally:
        await admin.execute("ALTER TABLE notes OWNER TO diary")
        await admin.close()


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("postgresql://anna:s%40cret@h:5432/d?sslmode=verify-full", "anna"),
        ("postgresql://an%2Fna@h/d", "an/na"),
        ("postgresql://anna:secret@one:5432,two:5433/d", "anna"),
        ("postgresql:///d?host=/run/postgresql&user=anna", "anna"),
    ],
)
def test_the_login_stands_in_the_address(url: str, login: str) -> None:
    assert login_of(url) == login


def test_an_address_without_a_login_is_refused() -> None:
    with pytest.raises(ValueError, match="must name a login"):
        login_of("postgresql://h/d")
