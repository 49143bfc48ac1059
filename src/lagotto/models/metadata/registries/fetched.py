"""The listing of a registered model comes in; the files to fetch, and then the model, go out."""

from pathlib import Path, PurePosixPath

from lagotto.core.errors import SourceError
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.text.clean import clean_text
from lagotto.core.types import ModelSource
from lagotto.models.metadata.beside.label_files import label_rank
from lagotto.models.metadata.registries.mlflow import MLMODEL, read_mlflow
from lagotto.models.metadata.repository import ChosenFile

_CODE = frozenset({".py", ".pyc", ".pkl", ".pickle", ".cloudpickle", ".joblib", ".so", ".sh"})
_SETTINGS = frozenset({MLMODEL, "config.json", "preprocessor_config.json"})
_MAX_SETTINGS_BYTES = 16 << 20


def choose_registered(repository: Repository) -> ChosenFile:
    """The files of a registered model, its settings apart; pickles and code are not fetched.

    Raises:
        SourceError: It is no model of MLflow.
    """
    if repository.file(MLMODEL) is None:
        raise SourceError(f"{repository.source} has no {MLMODEL}; register a logged model")
    safe = [file for file in repository.files if _ending(file) not in _CODE]
    settings = tuple(file for file in safe if _is_setting(file))
    return ChosenFile(tuple(file for file in safe if file not in settings), settings)


def registered_source(repository: Repository, folder: Path) -> ModelSource:
    """The model of a fetched folder; raises SourceError if no flavor of it is read."""
    model = read_mlflow(folder)
    if model is None or model.file is None:
        why = f"{model.form} {model.reason}; {model.recipe}" if model else f"it has no {MLMODEL}"
        raise SourceError(f"{repository.source} is not read: {why}")
    return ModelSource(clean_text(repository.name), model.file)


def _is_setting(file: RemoteFile) -> bool:
    path = PurePosixPath(file.path)
    is_setting = path.name in _SETTINGS or label_rank(path.name, "model") is not None
    return is_setting and file.size <= _MAX_SETTINGS_BYTES


def _ending(file: RemoteFile) -> str:
    return PurePosixPath(file.path).suffix.lower()
