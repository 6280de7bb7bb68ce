import sys

from ingress.app import main

sys.exit(main())
