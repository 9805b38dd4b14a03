"""``python -m tumorkeras``: the command line where the console script is not on the path."""

from tumorkeras.cli import main

if __name__ == "__main__":
    main()
