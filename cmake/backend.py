"""The build backend: scikit-build-core's, with one setting of steep's own, `steep.cuda`.

``pip install . -Csteep.cuda=on`` builds the CUDA room with nvcc 13; the default is off.
"""

from typing import Any

from scikit_build_core import build as core
from scikit_build_core.build import (  # noqa: F401 - what pip asks for
    build_sdist,
    get_requires_for_build_sdist,
)

Settings = dict[str, Any] | None


def defined(settings: Settings) -> dict[str, Any]:
    """Return the settings with `steep.cuda` as CMake is told it."""
    known = dict(settings or {})
    cuda = known.pop("steep.cuda", None)
    return known if cuda is None else {**known, "cmake.define.STEEP_CUDA": cuda}


def needs(settings: Settings) -> list[str]:
    """Return what a build with CUDA wants besides: CMake as nvcc 13 needs it."""
    return ["cmake>=3.30"] if (settings or {}).get("steep.cuda") == "on" else []


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    return core.get_requires_for_build_wheel(defined(config_settings)) + needs(config_settings)


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    return core.get_requires_for_build_editable(defined(config_settings)) + needs(config_settings)


def prepare_metadata_for_build_wheel(folder: str, config_settings: Settings = None) -> str:
    return core.prepare_metadata_for_build_wheel(folder, defined(config_settings))


def prepare_metadata_for_build_editable(folder: str, config_settings: Settings = None) -> str:
    return core.prepare_metadata_for_build_editable(folder, defined(config_settings))


def build_wheel(
    folder: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    return core.build_wheel(folder, defined(config_settings), metadata_directory)


def build_editable(
    folder: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    return core.build_editable(folder, defined(config_settings), metadata_directory)
