"""Makes missing development keys (identity, join links, event signing), and lets the containers read them.

`python identity.py STATE_FOLDER FILE_OF_THE_PERSON GROUP`. The keys get the same owner as the file, so that `makegood token`
on the host can use them, and the group can read them. Each service mounts only its own folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from makegood_devtools.event_keys import make_event_keys
from makegood_devtools.join_key import make_join_key
from makegood_devtools.keys import signing_key


def main() -> None:
    state, person, group = Path(sys.argv[1]), Path(sys.argv[2]).stat(), int(sys.argv[3])
    identity = state / "identity"
    join_links = state / "join-links"
    event_keys = state / "event-keys"
    signing_key(identity)
    make_join_key(join_links)
    make_event_keys(event_keys)
    if state.stat().st_uid != person.st_uid:
        os.chown(state, person.st_uid, person.st_gid)
    # The state folder itself may be private, because containers mount only the folders of the keys.
    folders = (identity, join_links, event_keys)
    for path in (*folders, *(inside for folder in folders for inside in folder.rglob("*"))):
        os.chown(path, person.st_uid, group)
        path.chmod(0o750 if path.is_dir() else 0o640)


if __name__ == "__main__":
    main()
