"""`python -m cloak.cli` is the same as `cloak`."""

from . import main

if __name__ == "__main__":
    main()
