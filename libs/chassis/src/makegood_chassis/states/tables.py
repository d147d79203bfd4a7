"""What the state topics need in a service's database. `SCHEMA` and `marks` make it, in a migration.

state_changes: entities whose state is to be published. Deleted once the broker has it.
erased_people: of whom no state is ever published again.
state_fills: how far the command that publishes what was there before has come.
"""

from __future__ import annotations

from collections.abc import Sequence

SCHEMA = """
CREATE TABLE state_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key text NOT NULL
);
COMMENT ON TABLE state_changes IS
    'Entities whose state is to be published on a compacted topic. Triggers add them in the transaction of the change.';
CREATE TABLE erased_people (person_id text PRIMARY KEY);
COMMENT ON TABLE erased_people IS 'Nothing about them stays on the state topics, or comes back.';
CREATE TABLE state_fills (topic text PRIMARY KEY, after_key text NOT NULL, done boolean NOT NULL);
COMMENT ON TABLE state_fills IS 'How far the role fill-states has come with what was there before the topic was.';
"""


def marks(topic: str, table: str, published: Sequence[str], *, key: str = "id", when: str = "true") -> str:
    """Triggers that mark a row's entity if the row is new, one of its published columns changes, or it is deleted. `when`: a
    condition for the row, as `NEW`."""
    old, new = (", ".join(f"{row}.{column}" for column in published) for row in ("OLD", "NEW"))
    return f"""
CREATE FUNCTION mark_{table}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $mark$
BEGIN
    INSERT INTO public.state_changes (topic, key) VALUES ('{topic}', coalesce(NEW.{key}, OLD.{key}));
    RETURN NULL;
END
$mark$;
CREATE TRIGGER state_of_new AFTER INSERT ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION mark_{table}();
CREATE TRIGGER state_of_changed AFTER UPDATE ON {table} FOR EACH ROW
    WHEN ({when} AND ROW({old}) IS DISTINCT FROM ROW({new})) EXECUTE FUNCTION mark_{table}();
CREATE TRIGGER state_of_deleted AFTER DELETE ON {table} FOR EACH ROW
    WHEN ({when.replace("NEW.", "OLD.")}) EXECUTE FUNCTION mark_{table}();
"""  # noqa: S608 (names of tables and columns)
