"""What of the checkout goes into the package; everything else about it stands in pyproject.toml."""

from setuptools import find_namespace_packages, setup

# The parts lie at the top of the checkout, where people look for them, and inside the package where it is installed.
parts = find_namespace_packages(include=["configs", "configs.*"])

setup(
    packages=[
        *find_namespace_packages(include=["benchmark", "benchmark.*"]),
        *(f"benchmark.{folder}" for folder in parts),
    ],
    py_modules=["detboard_start"],
    package_dir={"benchmark.configs": "configs"},
)
