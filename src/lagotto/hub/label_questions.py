"""An open hub comes in; names for its outputs, audits and what its probes show go out."""

from typing import TYPE_CHECKING

from lagotto.core.arguments.names import as_name_list, as_names
from lagotto.core.arguments.one_or_many import OneNameOrMany
from lagotto.core.progress import Progress
from lagotto.hub.open_hub import OpenHub, reading
from lagotto.hub.reader.reader import HubReader

if TYPE_CHECKING:  # these read a hub, so they are loaded by the methods that call them
    from lagotto.hub.curation.check import ProbeCheck
    from lagotto.hub.labels.audit import ModelAudit
    from lagotto.hub.labels.coverage import ModelCoverage
    from lagotto.hub.labels.describe import ModelDescription
    from lagotto.hub.labels.duplicates import DuplicateReport
    from lagotto.hub.searcher import Searcher


class LabelQuestions(OpenHub):
    """What an open hub can say of names: of its outputs, of published labels, of models alike."""

    def __init__(self, reader: HubReader) -> None:
        """A hub over an open reader; users call `Hub.open`."""
        super().__init__(reader)
        self._searcher: Searcher | None = None

    def close(self) -> None:
        """Lets files, memory maps and the encoder go; using the hub afterwards is a UsageError."""
        with self._lock:
            super().close()
            self._searcher = None

    @reading
    def describe(
        self, model: str, vocabulary: OneNameOrMany | None = None, *, top: int = 5
    ) -> "ModelDescription":
        """Proposed names for each output of a model, from its behaviour alone, `top` an output.

        Args:
            model: A model of the hub, by name, or outside it, by path.
            vocabulary: The names to choose from: a comma list or a file of names in one string, or
                a list. None: the common words that ship with the package.
        """
        from lagotto.hub.labels.describe import describe_model

        names = None if vocabulary is None else as_names(vocabulary, "vocabulary names")
        return describe_model(self.reader, self.reader.responses_of(model), names, top=top)

    @reading
    def audit(self, model: str, labels: OneNameOrMany | None = None) -> "ModelAudit":
        """A model's published labels, or others given for it, against its behaviour.

        `model` is as in `describe`; `labels`, in the order of the outputs, are a comma list or a
        file of names in one string, or a list. In a file, numbers place the names.
        """
        from lagotto.hub.labels.audits.by_references import audit_by_all

        known = self.reader.responses_of(model)
        names = None if labels is None else as_name_list(labels, "labels")
        return audit_by_all(self.reader, known, names)

    @reading
    def duplicates(self, progress: Progress | None = None) -> "DuplicateReport":
        """Models that are nearly the same, and models of one kind."""
        from lagotto.hub.labels.duplicates import find_duplicates

        return find_duplicates(self.reader, progress)

    @reading
    def cover(
        self, labels: OneNameOrMany, *, top: int = 10, references: bool | None = None
    ) -> "tuple[ModelCoverage, ...]":
        """The models that cover a set of labels best, each with its output for every label.

        Args:
            labels: A comma list or a file of names in one string, or a list.
            top: How many models.
            references: Let reference models say which outputs know a label (True, or None where
                there are any), or not (False). They are no answers themselves then.
        """
        from lagotto.hub.labels.coverage import cover_labels

        names = as_names(labels, "labels")
        sources = self._search_state().name_sources(published=False, references=references)
        return cover_labels(self.reader, names, top=top, sources=sources)

    @reading
    def check_probes(self, vocabulary: OneNameOrMany | None = None) -> "ProbeCheck":
        """Which words the probes show and how surely, and which probes tell nothing.

        `vocabulary` is a comma list or a file of words in one string, or a list. None: the common
        nouns that ship with the package.
        """
        from lagotto.encoders.background.words import background_words, embed_words
        from lagotto.hub.curation.check import check_probes

        space = self.reader.space
        if vocabulary is None:
            return check_probes(space, background_words(), space.background)
        words = as_names(vocabulary, "vocabulary words")
        return check_probes(space, words, embed_words(self.reader.encoder, words))

    def _forget_models(self) -> None:
        """Drops what was read of the hub's models; the next use reads it again."""
        super()._forget_models()
        self._searcher = None

    def _search_state(self) -> "Searcher":
        """What searches share, made at the first one; searches load nothing that others need."""
        from lagotto.hub.searcher import Searcher

        if self._searcher is None:
            self._searcher = Searcher(self.reader)
        return self._searcher
