import sys

from sender.app import main

sys.exit(main())
