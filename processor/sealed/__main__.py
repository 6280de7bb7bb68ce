"""`python -I -m processor.sealed`: sealed first, and only then is any code of ours imported."""

import json
import os
import sys
from urllib.parse import urlsplit

from processor.sealed.sealing import pin, seal


def main() -> int:
    """The first line says whether an agent may be asked, and where it lives."""
    lines, results = sys.stdin.buffer, os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # whatever prints, prints no result
    setup = lines.readline()
    asking = json.loads(setup or b"{}").get("asking")
    url = urlsplit(asking["base_url"]) if asking else None
    try:
        ways = pin(url.hostname or "", url.port or (443 if url.scheme == "https" else 80)) if url else ()
    except OSError as error:
        print(json.dumps({"fault": f"the agent's host is not found: {error}"}), file=results, flush=True)
        return 1
    alone = seal(ways)
    from processor.sealed.work import work

    return work(setup, lines, results, alone=alone)


if __name__ == "__main__":
    sys.exit(main())
