"""``python -m benchmark`` is the command ``detboard``."""

from benchmark.start import own_modules_first

if __name__ == "__main__":
    own_modules_first()  # before anything that is not Python's own
    from benchmark.cli import main

    main()
