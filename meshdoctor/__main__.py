"""`python -m meshdoctor`, the same as the `meshdoctor` command."""

import sys

from meshdoctor.cli import main

if __name__ == "__main__":
    sys.exit(main())
