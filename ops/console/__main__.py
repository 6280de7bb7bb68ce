import sys

from ops.console.app import main

sys.exit(main())
