import sys

from janitor.app import main

sys.exit(main())
