"""The public sets that can be had by name: facts, terms, where the archives lie and how their members are named."""

from __future__ import annotations

from dataclasses import dataclass

from kineme.dataset.public import layouts
from kineme.dataset.public.layouts import Layout
from kineme.errors import UsageError


@dataclass(frozen=True)
class Archive:
    """One file to fetch.

    Args:
        url: where its authors (or those who keep it for them) offer it.
        size_bytes: exact size where it is known for sure, else None.
        sha256: where one is published, else None.
        label: the only class it holds, if it holds one only; it is not fetched when that class is not wanted.
    """

    url: str
    size_bytes: int | None = None
    sha256: str | None = None
    label: str | None = None

    @property
    def name(self) -> str:
        """The file name."""
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class PublicSet:
    """A set of labelled videos that others published.

    Args:
        name: what the user calls it.
        classes: number of classes.
        videos: number of files, as its page or paper tells.
        size: of the download in words.
        terms: under what terms it is given, one line.
        citation: the paper to cite.
        page: its home page.
        archives: what to fetch.
        layout: what the names inside the archives mean.
        protocol: how results on it are usually measured, one line that names the table to use.
    """

    name: str
    classes: int
    videos: int
    size: str
    terms: str
    citation: str
    page: str
    archives: tuple[Archive, ...]
    layout: Layout
    protocol: str


_UCF = "https://www.crcv.ucf.edu/data/"
_UCF_TERMS = "no licence is stated; videos of YouTube users, published for research: cite the paper"
_KTH = "https://www.csc.kth.se/cvap/actions/"
_WEIZMANN = "https://www.wisdom.weizmann.ac.il/~vision/VideoAnalysis/Demos/SpaceTimeActions/DB/"
_UT = "https://cvrc.ece.utexas.edu/SDHA2010/videos/competition_1/"
_HMDB = "https://huggingface.co/datasets/Serrelab/hmdb51/resolve/main/"

SETS: dict[str, PublicSet] = {
    one.name: one
    for one in (
        PublicSet(
            name="ucf11",
            classes=11,
            videos=1600,
            size="about 1.0 GB",
            terms=_UCF_TERMS,
            citation="J. Liu, J. Luo, M. Shah: Recognizing realistic actions from videos in the wild, CVPR 2009",
            page=_UCF + "UCF_YouTube_Action.php",
            archives=(Archive(_UCF + "UCF11_updated_mpg.rar"),),
            layout=layouts.UCF11,
            protocol="25 folds, by the number of the group: kineme compare DIR --fold-column fold",
        ),
        PublicSet(
            name="ucf50",
            classes=50,
            videos=6681,
            size="about 3.2 GB",
            terms=_UCF_TERMS,
            citation="K. Reddy, M. Shah: Recognizing 50 human action categories of web videos, MVAP 2012",
            page=_UCF + "UCF50.php",
            archives=(Archive(_UCF + "UCF50.rar"),),
            layout=layouts.UCF50,
            protocol="25 folds, by the number of the group: kineme compare DIR --fold-column fold",
        ),
        PublicSet(
            name="ucf101",
            classes=101,
            videos=13_320,
            size="about 6.9 GB",
            terms=_UCF_TERMS,
            citation=(
                "K. Soomro, A. Zamir, M. Shah: UCF101: a dataset of 101 human actions classes from videos in the "
                "wild, CRCV-TR-12-01, 2012"
            ),
            page=_UCF + "UCF101.php",
            archives=(
                Archive(_UCF + "UCF101/UCF101.rar"),
                Archive(
                    _UCF + "UCF101/UCF101TrainTestSplits-RecognitionTask.zip",
                    size_bytes=113_943,
                    # As TensorFlow Datasets publishes it.
                    sha256="5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
                ),
            ),
            layout=layouts.UCF101,
            protocol="the mean over three lists: kineme train DIR/list1.csv, then list2.csv and list3.csv",
        ),
        PublicSet(
            name="hmdb51",
            classes=51,
            videos=6766,
            size="about 2.1 GB",
            terms="CC BY 4.0; clips of films and of videos on the web",
            citation=(
                "H. Kuehne, H. Jhuang, E. Garrote, T. Poggio, T. Serre: HMDB: a large video database for human motion "
                "recognition, ICCV 2011"
            ),
            page="https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database/",
            archives=(Archive(_HMDB + "hmdb51_org.rar"), Archive(_HMDB + "test_train_splits.rar")),
            layout=layouts.HMDB51,
            protocol="the mean over three lists: kineme train DIR/list1.csv, then list2.csv and list3.csv",
        ),
        PublicSet(
            name="kth",
            classes=6,
            videos=599,
            size="about 1.1 GB",
            terms="for non-commercial use: cite the paper",
            citation="C. Schuldt, I. Laptev, B. Caputo: Recognizing human actions: a local SVM approach, ICPR 2004",
            page=_KTH,
            archives=(
                *(Archive(f"{_KTH}{label}.zip", label=label) for label in layouts.KTH_LABELS),
                Archive(_KTH + "00sequences.txt"),
            ),
            layout=layouts.KTH,
            protocol="16 people for training and early stopping, 9 to test: kineme train DIR",
        ),
        PublicSet(
            name="weizmann",
            classes=10,
            videos=93,
            size="under 0.5 GB",
            terms="no licence is stated: cite the paper",
            citation="M. Blank, L. Gorelick, E. Shechtman, M. Irani, R. Basri: Actions as space-time shapes, ICCV 2005",
            page="https://www.wisdom.weizmann.ac.il/~vision/SpaceTimeActions.html",
            archives=tuple(Archive(f"{_WEIZMANN}{label}.zip", label=label) for label in layouts.WEIZMANN_LABELS),
            layout=layouts.WEIZMANN,
            protocol="leave one person out: kineme compare DIR --leave-one-group-out",
        ),
        PublicSet(
            name="ut-interaction",
            classes=6,
            videos=120,
            size="30 MB",
            terms="no licence is named; a citation is asked for",
            citation=(
                "M. S. Ryoo, J. K. Aggarwal: UT-Interaction dataset, ICPR contest on semantic description of human "
                "activities (SDHA), 2010"
            ),
            page="https://cvrc.ece.utexas.edu/SDHA2010/Human_Interaction.html",
            archives=(
                Archive(_UT + "ut-interaction_segmented_set1.zip", size_bytes=13_265_124),
                Archive(_UT + "ut-interaction_segmented_set2.zip", size_bytes=16_423_456),
            ),
            layout=layouts.UT_INTERACTION,
            protocol="leave one sequence out: kineme compare DIR/set1.csv --leave-one-group-out, then set2.csv",
        ),
    )
}


def named(name: str) -> PublicSet:
    """The public set called ``name``, in any case.

    Raises:
        UsageError: no data set has that name.
    """
    found = SETS.get(name.lower())
    if found is None:
        raise UsageError(f"there is no public set {name!r}; choose one of {', '.join(SETS)}")
    return found
