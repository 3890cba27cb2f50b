"""What of the checkout goes into the package; everything else about it stands in pyproject.toml."""

import shutil

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py


class FreshBuild(build_py):
    """A build of what there is now: setuptools leaves in ``build/`` what is no longer there, and packs that, too."""

    def run(self) -> None:
        """See setuptools."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


# The parts lie at the top of the checkout, where people look for them, and inside the package where it is installed.
parts = find_namespace_packages(include=["configs", "configs.*"])

setup(
    cmdclass={"build_py": FreshBuild},
    packages=[
        *find_namespace_packages(include=["benchmark", "benchmark.*"]),
        *(f"benchmark.{folder}" for folder in parts),
    ],
    py_modules=["detboard_start"],
    package_dir={"benchmark.configs": "configs"},
)
