"""`python -m lagotto` comes in; the command line goes out."""

from lagotto.cli.main import main

if __name__ == "__main__":
    main()
