"""``python -m benchmark`` is the command ``detboard``."""

from benchmark import process


def _command() -> None:
    from benchmark.start import own_modules_first

    own_modules_first()  # before anything that is not Python's own
    from benchmark.cli import main

    main()


if __name__ == "__main__":
    process.run(_command)
