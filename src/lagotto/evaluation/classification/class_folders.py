"""A folder comes in; its class folders go out, whatever lies around them.

The structure of a data set is not its content: train/, val/ and test/ are splits, a folder around
the class folders is a wrapper, and classes may lie in groups. Labels that were given decide which
folders are classes; else the structure does, and where it cannot tell, the folder is refused.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lagotto.core.errors import UsageError
from lagotto.core.parsing.captioned_tables import storable
from lagotto.core.sources.folder import (
    SYSTEM_FOLDERS,
    count_files,
    ending_of,
    is_picture_file,
)
from lagotto.core.text.names import name_key

_SPLITS = ("test", "testing", "tst", "val", "valid", "validation", "dev", "eval", "train")
_TRAIN = ("train", "training", "trn", "trainval", "train_val")
SPLITS = (*_SPLITS, *(name for name in _TRAIN if name not in _SPLITS))
"""Names of splits (lower case), in the order in which one is taken."""

_MOST_LEVELS = 6
_SHOWN = 3


@dataclass(slots=True)
class _Node:
    """A folder: its own pictures, all pictures under it, and the folders in it by name."""

    path: Path
    direct: int = 0
    total: int = 0
    files: int = 0
    children: list["_Node"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the folder, as it can be printed."""
        return storable(self.path.name)

    @property
    def pictured(self) -> list["_Node"]:
        """The folders in it that hold pictures, at any depth."""
        return [child for child in self.children if child.total]


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """The class folders of a data set.

    `folders` has the name of each class folder, as the data name it, with the folder; one name may
    have several. `notes` say what of the structure was read in which way. `passed_over` has the
    files outside of all class folders, by kind.
    """

    root: Path
    folders: tuple[tuple[str, Path], ...]
    notes: tuple[str, ...]
    passed_over: dict[str, int]


def find_class_folders(path: Path, names: Collection[str] | None = None) -> ClassFolders:
    """Finds the class folders under a folder.

    Args:
        path: The folder.
        names: The keys (`name_key`) of the labels that were given: folders of these names are the
            classes, at whatever depth. None if no labels were given.

    Raises:
        UsageError: There are no class folders, or it cannot be told which folders they are.
    """
    root = _scan(path, 0)
    node, notes = root, list[str]()
    while not _are_labels(node.pictured, names or ()):
        below = _inner_split(node)
        if below is not None:
            notes.append(f"{path}: each class has splits; {below[0].name}/ is taken")
            return _found(root, node, below, notes, named_by_parent=True)
        inner = _split(node, notes) or _wrapped(node, notes)
        if inner is None:
            break
        node = inner
    level = _level_of_labels(node, names or ())
    if level:
        notes.append(f"{path}: the labels are names of folders {level + 1} levels below")
        return _found(root, node, _at_depth(node, level), notes)
    if not node.children:
        raise UsageError(
            f"labelled pictures {path}: no class sub-folders in it; give a folder of class "
            "sub-folders, a folder with labels.jsonl or tars, a .jsonl or a .tar"
        )
    if level is None:
        _check_one_level(path, node)
    return _found(root, node, node.children, notes)


def _scan(path: Path, depth: int) -> _Node:
    """The tree of a folder, without hidden folders, those of systems, and linked ones."""
    node = _Node(path)
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"cannot read the folder {path}: {error.strerror}") from error
    for entry in entries:
        is_hidden = entry.name.startswith(".")
        if _is_own_folder(entry, depth):
            if not is_hidden and entry.name.lower() not in SYSTEM_FOLDERS:
                node.children.append(_scan(Path(entry.path), depth + 1))
        else:
            node.files += 1
            node.direct += not is_hidden and is_picture_file(Path(entry.path))
    node.total = node.direct + sum(child.total for child in node.children)
    return node


def _is_own_folder(entry: os.DirEntry[str], depth: int) -> bool:
    """Whether an entry is a folder, or a link to one that does not lead back up."""
    if not entry.is_symlink():
        return entry.is_dir()
    if depth >= _MOST_LEVELS or not entry.is_dir():
        return False
    real, place = Path(entry.path).resolve(), Path(entry.path).absolute()
    return not place.is_relative_to(real) and not place.resolve().parent.is_relative_to(place)


def _at_depth(node: _Node, depth: int) -> list[_Node]:
    """The folders at a depth that hold pictures; 0 is the folders in the node."""
    nodes = node.pictured
    for _ in range(depth):
        nodes = [child for parent in nodes for child in parent.pictured]
    return nodes


def _are_labels(nodes: Sequence[_Node], names: Collection[str]) -> bool:
    """Whether all of some folders are called as labels."""
    return bool(nodes) and all(name_key(node.name) in names for node in nodes)


def _level_of_labels(node: _Node, names: Collection[str]) -> int | None:
    """The first depth at which all folders are called as labels; None if there is none."""
    depths = range(_MOST_LEVELS if names else 0)
    return next((depth for depth in depths if _are_labels(_at_depth(node, depth), names)), None)


def _is_split(node: _Node) -> bool:
    return node.name.lower() in SPLITS


def _preference(node: _Node) -> int:
    return SPLITS.index(node.name.lower())


def _split(node: _Node, notes: list[str]) -> _Node | None:
    """The split to take of a folder of splits; None if its folders are none.

    Raises:
        UsageError: All its folders are called as splits, and none has class folders.
    """
    splits = [child for child in node.pictured if _is_split(child)]
    if not splits or (len(splits) < len(node.pictured) and not _share_classes(splits)):
        return None
    with_classes = [child for child in splits if _holds_classes(child, splits)]
    if not with_classes:
        listed = ", ".join(f"{child.name}/" for child in splits)
        raise UsageError(
            f"labelled pictures {node.path}: {listed} are splits by their names and hold no class "
            "folders; put each picture in a folder of its class, or give --labels "
            f"{','.join(child.name for child in splits)} if these are the classes"
        )
    chosen = min(with_classes, key=_preference)
    others = ", ".join(f"{child.name}/" for child in node.pictured if child is not chosen)
    notes.append(
        f"{node.path}: {chosen.name}/ is taken as the split to measure on"
        + (f"; {others} left out" if others else "")
    )
    return chosen


def _share_classes(splits: Sequence[_Node]) -> bool:
    """Whether two splits or more have class folders of the same names."""
    names = [{child.name for child in split.pictured} for split in splits]
    return any(a & b for index, a in enumerate(names) for b in names[index + 1 :])


def _holds_classes(split: _Node, splits: Sequence[_Node]) -> bool:
    """Whether a split has class folders: some, and names of another split's where it has one."""
    others = [other for other in splits if other is not split and len(other.pictured) > 1]
    names = {child.name for child in split.pictured}
    if len(names) == 1 and others:
        return any(names & {child.name for child in other.pictured} for other in others)
    return bool(names)


def _inner_split(node: _Node) -> list[_Node] | None:
    """The folder of one split in each class, where every class has splits in it; else None."""
    classes = node.pictured
    if not classes or any(
        child.direct or not child.pictured or not all(map(_is_split, child.pictured))
        for child in classes
    ):
        return None
    if len(classes) == 1 and any(split.pictured for split in classes[0].pictured):
        return None  # a wrapper around splits
    common = set.intersection(*({s.name.lower() for s in child.pictured} for child in classes))
    if not common:
        return None
    name = min(common, key=SPLITS.index)
    return [split for child in classes for split in child.pictured if split.name.lower() == name]


def _wrapped(node: _Node, notes: list[str]) -> _Node | None:
    """The only folder with pictures, if it is no class but holds the class folders; else None."""
    if node.direct or len(node.pictured) != 1:
        return None
    (inner,) = node.pictured
    if inner.direct or not _branches(inner):
        return None
    notes.append(f"{node.path}: the class folders are those in {inner.name}/")
    return inner


def _branches(node: _Node) -> bool:
    """Whether folders with pictures lie side by side somewhere under a folder without its own."""
    while not node.direct and len(node.pictured) == 1:
        node = node.pictured[0]
    return not node.direct and len(node.pictured) > 1


def _check_one_level(path: Path, node: _Node) -> None:
    """Raises UsageError where every folder is a group of folders: which ones are the classes?"""
    groups = node.pictured
    if any(group.direct for group in groups) or not any(map(_branches, groups)):
        return
    examples = [
        inner.path.relative_to(path).as_posix() for group in groups for inner in group.pictured[:1]
    ]
    upper = ",".join(group.name for group in groups[:_SHOWN])
    lower = ",".join(
        dict.fromkeys(inner.name for group in groups for inner in group.pictured[:_SHOWN])
    )
    raise UsageError(
        f"labelled pictures {path}: the folders lie in two levels "
        f"({storable(', '.join(examples[:_SHOWN]))}), and either may be the classes; give --labels "
        f"with all names of the level that counts (as {upper} or {lower[:100]})"
    )


def _found(
    root: _Node,
    node: _Node,
    classes: Sequence[_Node],
    notes: list[str],
    named_by_parent: bool = False,
) -> ClassFolders:
    """The class folders, with the number of files outside of them."""
    folders = [child for child in classes if child.total or not child.files]
    inside = {child.path for child in folders}
    counts: dict[str, int] = {}
    for kind in _outside(root, inside):
        counts[kind] = counts.get(kind, 0) + 1
    named = tuple(
        (storable(child.path.parent.name) if named_by_parent else child.name, child.path)
        for child in folders
    )
    return ClassFolders(node.path, named, tuple(map(storable, notes)), counts)


def _outside(root: _Node, inside: Collection[Path]) -> Iterator[str]:
    """The kind of each file under the root that is in none of some folders."""
    for entry in sorted(os.scandir(root.path), key=lambda entry: entry.name):
        path = Path(entry.path)
        if path in inside:
            continue
        if not entry.is_dir(follow_symlinks=False):
            is_hidden = entry.name.startswith(".")
            is_picture = not is_hidden and is_picture_file(path)
            yield (
                "hidden file"
                if is_hidden
                else "pictures in no class folder"
                if is_picture
                else ending_of(entry.name)
            )
        elif any(folder.is_relative_to(path) for folder in inside):
            child = next((child for child in root.children if child.path == path), _Node(path))
            yield from _outside(child, inside)
        else:
            yield from [f"in {storable(entry.name)}/"] * count_files(path, UsageError)
