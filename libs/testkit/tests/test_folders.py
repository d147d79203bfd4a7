"""Temporary folders hold PostgreSQL's data too, whoever starts it."""

from __future__ import annotations

from makegood_stack.home import Home, find_root, reachable_by_others
from makegood_testkit.folders import temporary_folder


def test_the_data_of_postgresql_are_in_the_folder_and_deleted_with_it() -> None:
    with temporary_folder() as folder:
        home = Home(find_root(), folder / ".makegood")
        home.make()
        assert reachable_by_others(home.state)
        assert home.postgres_folder().is_relative_to(folder)
    assert not folder.exists()
