"""Environment variables come in; what the libraries report to their makers is switched off in them.

It imports nothing, since `import lagotto` calls it before any library is loaded.
"""

from collections.abc import MutableMapping

TELEMETRY_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, read once at its import
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, transformers and hf_xet
    "MLFLOW_DISABLE_TELEMETRY": "true",  # mlflow and mlflow-skinny
    "RAY_USAGE_STATS_ENABLED": "0",  # ray, of which lagotto may find an installation
}
"""Each variable, and the value by which its library reports nothing."""


def switch_off_telemetry(environment: MutableMapping[str, str]) -> None:
    """Sets the variables of TELEMETRY_OFF, except those that the user has set."""
    for name, value in TELEMETRY_OFF.items():
        environment.setdefault(name, value)
