"""A public set by name to a folder of videos with their tables; rerun it to resume after an interruption."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kineme.dataset.public.catalogue import Archive, PublicSet
from kineme.dataset.public.fetch import download
from kineme.dataset.public.layouts import Video
from kineme.dataset.public.unpack import Archive as OpenArchive
from kineme.dataset.public.unpack import Member, is_archive, open_archive
from kineme.dataset.scan import CSV_IN_FOLDER
from kineme.dataset.table import listed
from kineme.errors import KinemeError, UsageError
from kineme.files import cannot_write, file_lock, remove_abandoned, write_csv, write_text
from kineme.progress import track

_ABOUT = "about.txt"
_ARCHIVES = "archives"
_WORK = ".unpacking"


@dataclass(frozen=True)
class DownloadResult:
    """What :func:`get_set` made.

    Args:
        videos: number of files.
        labels: the classes.
        tables: CSV files by name; ``clips`` lists everything.
        warnings: what the user should know, one line each.
    """

    videos: int
    labels: tuple[str, ...]
    tables: dict[str, Path]
    warnings: tuple[str, ...]


def get_set(
    public: PublicSet,
    folder: Path,
    *,
    source: str | None = None,
    classes: Collection[str] | None = None,
    per_class: int | None = None,
) -> DownloadResult:
    """Fetch, unpack and list a public set.

    Archives are kept in ``folder/archives``, videos go to ``folder/class/name``, and the tables lie beside them.
    Files that are there already are not fetched or unpacked again.

    Args:
        public: the set.
        folder: where to.
        source: a folder that holds the archives, or an address that they lie under, instead of the official place.
            The archives may be packed otherwise there, so their published lengths and hashes are not asked for.
        classes: only these.
        per_class: at most so many videos of each class, of as many groups as there are.

    Raises:
        UsageError: a class does not exist, or the source is neither a folder nor http.
        KinemeError: something could not be fetched, unpacked or written.
    """
    known = {one.label for one in public.archives if one.label}
    if known and classes is not None:
        _check_classes(public, classes, known)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / ".lock"):
            _claim(folder, public)
            return _get(public, folder, source, classes, per_class)
    except OSError as error:
        raise cannot_write(error.filename or folder, error) from error


def _get(
    public: PublicSet, folder: Path, source: str | None, classes: Collection[str] | None, per_class: int | None
) -> DownloadResult:
    wanted = [one for one in public.archives if classes is None or one.label is None or one.label in classes]
    files = [_fetched(public, one, folder, source) for one in wanted]

    work = folder / _WORK
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    work.mkdir()
    found = _Found(public, folder, work, classes, per_class)
    found.take(files)
    if classes is not None:
        _check_classes(public, classes, found.labels)
    shutil.rmtree(work)
    if not found.videos:
        raise KinemeError(f"{files[0]}: holds no video of {public.name}; is it another archive?")

    videos = sorted(found.videos, key=lambda video: video.path)
    tables, warnings = {}, []
    for name, rows in public.layout.tables(videos, found.lists).items():
        if rows:
            tables[name] = _write_table(folder / f"{name}.csv", rows)
            warnings += _straddling(name, rows)
    return DownloadResult(len(videos), tuple(sorted({video.label for video in videos})), tables, tuple(warnings))


def _claim(folder: Path, public: PublicSet) -> None:
    """Say in ``about.txt`` whose folder it is; KinemeError where it is another's already."""
    about = folder / _ABOUT
    if about.is_file() or (folder / CSV_IN_FOLDER).exists():
        holds = about.read_text(encoding="utf-8", errors="replace").partition("\n")[0] if about.is_file() else "a table"
        if holds != public.name:
            raise KinemeError(f"{folder}: holds {holds[:50]} already; choose another folder for {public.name}")
    remove_abandoned(about)
    facts = [public.name, f"Terms: {public.terms}", f"Cite: {public.citation}", f"Page: {public.page}"]
    write_text(about, "\n".join([*facts, f"Protocol: {public.protocol}"]) + "\n")


def _fetched(public: PublicSet, archive: Archive, folder: Path, source: str | None) -> Path:
    """The archive on this machine."""
    if source is None:
        target = folder / _ARCHIVES / archive.name
        try:
            download(archive.url, target, size_bytes=archive.size_bytes, sha256=archive.sha256)
        except KinemeError as error:
            hint = f"or get {archive.name} by hand ({public.page}) and give its folder with --from"
            raise KinemeError(f"{error}; {hint}") from error
        return target
    if urlsplit(source).scheme in ("http", "https"):
        target = folder / _ARCHIVES / archive.name
        download(f"{source.rstrip('/')}/{archive.name}", target)
        return target
    if "://" in source or not Path(source).is_dir():
        raise UsageError(f"--from {source}: must be a folder that holds the archives, or an address (http, https)")
    path = Path(source) / archive.name
    if not path.is_file():
        raise KinemeError(f"{path}: no such file; --from needs {listed([one.name for one in public.archives])} there")
    return path


class _Found:
    """The videos and lists taken out of the archives so far."""

    def __init__(
        self, public: PublicSet, folder: Path, work: Path, classes: Collection[str] | None, per_class: int | None
    ) -> None:
        self._public, self._folder, self._work = public, folder, work
        self._classes, self._per_class = classes, per_class
        self.videos: list[Video] = []
        self.labels: set[str] = set()
        self.lists: dict[str, str] = {}

    def take(self, files: Iterable[Path]) -> None:
        """Unpack these archives together; each archive inside them then by itself."""
        layout = self._public.layout
        inside: list[tuple[OpenArchive, Member, str]] = []
        offered: list[tuple[OpenArchive, Member, Video]] = []
        with ExitStack() as stack:
            for file in files:
                if layout.is_list(file.name):
                    self.lists[file.name] = _text(file.read_bytes())
                    continue
                if not is_archive(file):
                    raise KinemeError(
                        f"{file}: is not an archive but perhaps a web page; delete it and see {self._public.page}"
                    )
                archive = stack.enter_context(open_archive(file))
                for member in archive.members:
                    name = member.name.rsplit("/", 1)[-1]
                    if layout.is_list(member.name):
                        self.lists[name] = _text(archive.read(member))
                    elif (label := layout.inner(member.name)) is not None:
                        inside.append((archive, member, label))
                    elif (video := layout.video(file.name, member.name)) is not None:
                        _check_name(file, video.path)
                        offered.append((archive, member, video))
            self._unpack(offered)
            for archive, member, label in sorted(inside, key=lambda one: one[2]):
                self.labels.add(label)
                if self._classes is None or label in self._classes:
                    inner = self._work / f"{len(self.labels)}{Path(member.name).suffix}"
                    archive.extract(member, inner)
                    self.take([inner])
                    inner.unlink()

    def _unpack(self, offered: list[tuple[OpenArchive, Member, Video]]) -> None:
        self.labels |= {video.label for *_, video in offered}
        chosen = self._choose(offered)
        missing = [
            (archive, member, target)
            for archive, member, video in chosen
            if not _is_there(target := self._folder / video.path, member.size)
        ]
        needed, free = sum(member.size for _, member, _ in missing), shutil.disk_usage(self._folder).free
        if needed > free:
            raise KinemeError(
                f"{self._folder}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; make room, or "
                f"take fewer videos with --classes or --per-class"
            )
        label = f"unpacking {missing[0][0].path.name}, files" if missing else None
        for archive, member, target in track(missing, label):
            half = self._work / "video"
            archive.extract(member, half)
            target.parent.mkdir(exist_ok=True)
            half.replace(target)
        self.videos += [video for *_, video in chosen]

    def _choose(self, offered: list[tuple[OpenArchive, Member, Video]]) -> list[tuple[OpenArchive, Member, Video]]:
        """Those of the classes that are wanted, and of each as many as wanted, the groups taking turns."""
        by_path: dict[str, tuple[OpenArchive, Member, Video]] = {}
        for one in sorted(offered, key=lambda one: one[2].path):
            first = by_path.setdefault(one[2].path.casefold(), one)
            if first[1].size != one[1].size:
                raise KinemeError(f"{one[0].path}: holds two different videos {one[2].path}")
        turns: defaultdict[str, int] = defaultdict(int)
        ranked = []
        for one in by_path.values():
            group = f"{one[2].label}/{one[2].group}"
            ranked.append((turns[group], one))
            turns[group] += 1
        counts: defaultdict[str, int] = defaultdict(int)
        chosen = []
        for _, one in sorted(ranked, key=lambda item: (item[0], item[1][2].path)):
            label = one[2].label
            if self._classes is not None and label not in self._classes:
                continue
            if self._per_class is None or counts[label] < self._per_class:
                counts[label] += 1
                chosen.append(one)
        return sorted(chosen, key=lambda one: one[2].path)


def _check_classes(public: PublicSet, classes: Collection[str], known: Collection[str]) -> None:
    unknown = sorted(set(classes) - set(known))
    if unknown:
        raise UsageError(f"{public.name} has no class {listed(unknown)}; it has {', '.join(sorted(known))}")


def _check_name(archive: Path, path: str) -> None:
    """Raise where a name, taken from an archive, would lead out of its folder or hide there."""
    parts = path.split("/")
    if len(parts) != 2 or any(
        part.startswith(".") or not part.isprintable() or set(part) & set("\\:") for part in parts
    ):
        raise KinemeError(f"{archive}: holds a file with a name that is not safe ({path!r}); nothing of it is unpacked")


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")


def _write_table(path: Path, videos: Sequence[Video]) -> Path:
    optional = [
        column
        for column in ("split", "fold", "start_s", "end_s")
        if all(getattr(video, column) is not None for video in videos)
    ]
    columns = ["path", "label", "group", *optional]
    remove_abandoned(path)
    write_csv(path, columns, [[getattr(video, column) for column in columns] for video in videos])
    return path


def _straddling(name: str, videos: Sequence[Video]) -> list[str]:
    """One line where an official split has groups on both sides."""
    tested = {video.group for video in videos if video.split == "test"}
    both = tested & {video.group for video in videos if video.split in ("train", "validation")}
    if not both:
        return []
    return [
        f"{name}.csv: as published, {len(both)} sources are in both train and test, such as {min(both)!r}; "
        f"train takes it only with --leaky-random-split, and clips.csv is split by group"
    ]
