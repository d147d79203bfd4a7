"""Makes the development identity's key and that of join links where there are none, and lets the containers read it.

`python identity.py STATE_FOLDER FILE_OF_THE_PERSON GROUP`: what stands in the folder afterwards belongs to whom the file
belongs, so that `makegood token` on the host can sign with the key, and the group can read it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from makegood_cli.devside.join_key import make_join_key
from makegood_cli.devside.keys import signing_key


def main() -> None:
    state, person, group = Path(sys.argv[1]), Path(sys.argv[2]).stat(), int(sys.argv[3])
    identity = state / "identity"
    join_links = state / "join-links"
    signing_key(identity)
    make_join_key(join_links)
    if state.stat().st_uid != person.st_uid:
        os.chown(state, person.st_uid, person.st_gid)
    # The state folder itself may be closed to others; the containers mount the folder of the keys alone.
    for path in (identity, *identity.iterdir(), join_links, *join_links.iterdir()):
        os.chown(path, person.st_uid, group)
        path.chmod(0o750 if path.is_dir() else 0o640)


if __name__ == "__main__":
    main()
