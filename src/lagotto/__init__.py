"""Lagotto: find the image classifier that already knows your concept, by behaviour alone.

The public names are loaded on first use, so that `import lagotto` loads no framework. Whatever is
loaded later reports nothing to its makers, unless the user's environment says so.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lagotto.jobs.sandbox.telemetry import switch_off_telemetry

if TYPE_CHECKING:
    from lagotto.core.errors import CaptionError as CaptionError
    from lagotto.core.errors import EncoderError as EncoderError
    from lagotto.core.errors import HubError as HubError
    from lagotto.core.errors import LagottoError as LagottoError
    from lagotto.core.errors import MismatchError as MismatchError
    from lagotto.core.errors import MissingExtraError as MissingExtraError
    from lagotto.core.errors import ModelError as ModelError
    from lagotto.core.errors import PictureError as PictureError
    from lagotto.core.errors import ProbeError as ProbeError
    from lagotto.core.errors import SourceError as SourceError
    from lagotto.core.errors import UsageError as UsageError
    from lagotto.core.results.through import Through as Through
    from lagotto.core.types import Decision as Decision
    from lagotto.core.types import Hit as Hit
    from lagotto.core.types import Hits as Hits
    from lagotto.core.types import Probe as Probe
    from lagotto.core.types import Query as Query
    from lagotto.core.types import Skipped as Skipped
    from lagotto.diagnosis.doctor import DoctorReport as DoctorReport
    from lagotto.diagnosis.doctor import doctor as doctor
    from lagotto.diagnosis.planning.plan import HubPlan as HubPlan
    from lagotto.diagnosis.planning.plan import PlanRequest as PlanRequest
    from lagotto.diagnosis.planning.plan import plan_hub as plan_hub
    from lagotto.encoders.registry import load_encoder as load_encoder
    from lagotto.hub.curation.check import ProbeCheck as ProbeCheck
    from lagotto.hub.curation.check import WordCoverage as WordCoverage
    from lagotto.hub.curation.make import MadeSet as MadeSet
    from lagotto.hub.curation.make import SetOptions as SetOptions
    from lagotto.hub.curation.make import make_probes as make_probes
    from lagotto.hub.hub import Hub as Hub
    from lagotto.hub.ingest.add import AddReport as AddReport
    from lagotto.hub.ingest.grow import GrowReport as GrowReport
    from lagotto.hub.ingest.inspect import Inspection as Inspection
    from lagotto.hub.ingest.inspect_files import InspectReport as InspectReport
    from lagotto.hub.ingest.inspect_files import inspect as inspect
    from lagotto.hub.ingest.merging.report import MergeReport as MergeReport
    from lagotto.hub.ingest.merging.shard import ModelShard as ModelShard
    from lagotto.hub.labels.audit import LabelFinding as LabelFinding
    from lagotto.hub.labels.audit import ModelAudit as ModelAudit
    from lagotto.hub.labels.coverage import CoveredLabel as CoveredLabel
    from lagotto.hub.labels.coverage import ModelCoverage as ModelCoverage
    from lagotto.hub.labels.describe import ModelDescription as ModelDescription
    from lagotto.hub.labels.describe import NamedLogit as NamedLogit
    from lagotto.hub.labels.describe import Proposal as Proposal
    from lagotto.hub.labels.duplicates import DuplicateReport as DuplicateReport
    from lagotto.hub.labels.duplicates import ModelPair as ModelPair
    from lagotto.hub.query.types import ImageQuery as ImageQuery
    from lagotto.hub.query.types import LogitQuery as LogitQuery
    from lagotto.hub.query.types import QueryVector as QueryVector
    from lagotto.hub.query.types import TextQuery as TextQuery
    from lagotto.hub.reader.status import HubStatus as HubStatus
    from lagotto.hub.reader.verify import Damage as Damage
    from lagotto.hub.search.options import SearchOptions as SearchOptions
    from lagotto.hub.search.recall import IndexReport as IndexReport
    from lagotto.jobs.worker_limits import Limits as Limits
    from lagotto.models.registry import load_model as load_model
    from lagotto.specialists.classifier import Classifier as Classifier
    from lagotto.specialists.classifier import HubVoice as HubVoice
    from lagotto.specialists.fusion import Specialist as Specialist
    from lagotto.web.client import Client as Client
    from lagotto.zeroshot.captions.ingest import IntakeReport as IntakeReport
    from lagotto.zeroshot.captions.store import CaptionStore as CaptionStore
    from lagotto.zeroshot.types import ModelVote as ModelVote
    from lagotto.zeroshot.types import Prediction as Prediction
    from lagotto.zeroshot.types import RetrievedCaption as RetrievedCaption
    from lagotto.zeroshot.types import Suggestion as Suggestion

__version__ = "0.1.0"

switch_off_telemetry(os.environ)

_HOME = {
    "AddReport": "lagotto.hub.ingest.add",
    "CaptionError": "lagotto.core.errors",
    "CaptionStore": "lagotto.zeroshot.captions.store",
    "Classifier": "lagotto.specialists.classifier",
    "Client": "lagotto.web.client",
    "CoveredLabel": "lagotto.hub.labels.coverage",
    "Damage": "lagotto.hub.reader.verify",
    "Decision": "lagotto.core.types",
    "DoctorReport": "lagotto.diagnosis.doctor",
    "DuplicateReport": "lagotto.hub.labels.duplicates",
    "EncoderError": "lagotto.core.errors",
    "GrowReport": "lagotto.hub.ingest.grow",
    "Hit": "lagotto.core.types",
    "Hits": "lagotto.core.types",
    "Hub": "lagotto.hub.hub",
    "HubError": "lagotto.core.errors",
    "HubPlan": "lagotto.diagnosis.planning.plan",
    "HubStatus": "lagotto.hub.reader.status",
    "HubVoice": "lagotto.specialists.classifier",
    "ImageQuery": "lagotto.hub.query.types",
    "IndexReport": "lagotto.hub.search.recall",
    "InspectReport": "lagotto.hub.ingest.inspect_files",
    "Inspection": "lagotto.hub.ingest.inspect",
    "IntakeReport": "lagotto.zeroshot.captions.ingest",
    "LabelFinding": "lagotto.hub.labels.audit",
    "LagottoError": "lagotto.core.errors",
    "Limits": "lagotto.jobs.worker_limits",
    "LogitQuery": "lagotto.hub.query.types",
    "MadeSet": "lagotto.hub.curation.make",
    "MergeReport": "lagotto.hub.ingest.merging.report",
    "MismatchError": "lagotto.core.errors",
    "MissingExtraError": "lagotto.core.errors",
    "ModelAudit": "lagotto.hub.labels.audit",
    "ModelCoverage": "lagotto.hub.labels.coverage",
    "ModelDescription": "lagotto.hub.labels.describe",
    "ModelError": "lagotto.core.errors",
    "ModelPair": "lagotto.hub.labels.duplicates",
    "ModelShard": "lagotto.hub.ingest.merging.shard",
    "ModelVote": "lagotto.zeroshot.types",
    "NamedLogit": "lagotto.hub.labels.describe",
    "PictureError": "lagotto.core.errors",
    "PlanRequest": "lagotto.diagnosis.planning.plan",
    "Prediction": "lagotto.zeroshot.types",
    "Probe": "lagotto.core.types",
    "ProbeCheck": "lagotto.hub.curation.check",
    "ProbeError": "lagotto.core.errors",
    "Proposal": "lagotto.hub.labels.describe",
    "Query": "lagotto.core.types",
    "QueryVector": "lagotto.hub.query.types",
    "RetrievedCaption": "lagotto.zeroshot.types",
    "SearchOptions": "lagotto.hub.search.options",
    "SetOptions": "lagotto.hub.curation.make",
    "Skipped": "lagotto.core.types",
    "SourceError": "lagotto.core.errors",
    "Specialist": "lagotto.specialists.fusion",
    "Suggestion": "lagotto.zeroshot.types",
    "TextQuery": "lagotto.hub.query.types",
    "Through": "lagotto.core.results.through",
    "UsageError": "lagotto.core.errors",
    "WordCoverage": "lagotto.hub.curation.check",
    "doctor": "lagotto.diagnosis.doctor",
    "inspect": "lagotto.hub.ingest.inspect_files",
    "load_encoder": "lagotto.encoders.registry",
    "load_model": "lagotto.models.registry",
    "plan_hub": "lagotto.diagnosis.planning.plan",
    "make_probes": "lagotto.hub.curation.make",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lagotto' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
