"""Downloads that break off and go on, and archives that mean no good."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from helpers_archives import write_rar4, write_rar5, write_zip
from helpers_mirror import mirror

from kineme.dataset.public.fetch import download
from kineme.dataset.public.unpack import open_archive
from kineme.errors import KinemeError

CONTENT = np.random.default_rng(0).bytes(1_000_000)


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "set.zip").write_bytes(CONTENT)
    with mirror(folder) as here:
        yield here


def test_a_file_is_fetched_once_and_checked(served, tmp_path):
    target = tmp_path / "new" / "set.zip"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    for _ in range(2):
        download(f"{served.url}/set.zip", target, size_bytes=len(CONTENT), sha256=sha256)
    assert target.read_bytes() == CONTENT
    assert served.asked == [("set.zip", "")]
    assert [file.name for file in target.parent.iterdir()] == ["set.zip"]


def test_a_connection_that_breaks_off_is_taken_up_where_it_was(served, tmp_path):
    served.cuts = [300_000, 1, 200_000]
    download(f"{served.url}/set.zip", tmp_path / "set.zip", pause_s=0)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT
    assert [wanted for _, wanted in served.asked] == ["", "bytes=300000-", "bytes=300001-", "bytes=500001-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(served, tmp_path):
    served.cuts, served.codes = [300_000], []
    target = tmp_path / "set.zip"
    served.cuts += [0] * 5
    with pytest.raises(
        KinemeError, match=r"lost during the download.*with 0\.3 MB fetched; rerun the command to resume"
    ):
        download(f"{served.url}/set.zip", target, pause_s=0)
    assert not target.exists()
    served.asked.clear()
    download(f"{served.url}/set.zip", target, pause_s=0)
    assert target.read_bytes() == CONTENT
    assert served.asked == [("set.zip", "bytes=300000-")]


@pytest.mark.parametrize("why", ["another version", "no ranges", "another address", "the notes are lost"])
def test_it_starts_again_where_the_rest_would_not_fit(served, tmp_path, why):
    target, url = tmp_path / "set.zip", f"{served.url}/set.zip"
    served.cuts = [300_000] + [0] * 5
    with pytest.raises(KinemeError):
        download(url, target, pause_s=0)
    new = CONTENT[::-1]
    (served.folder / "set.zip").write_bytes(new)
    if why == "another version":
        served.tag = "v2"
    elif why == "no ranges":
        served.ranges = False
    elif why == "another address":
        (served.folder / "other.zip").write_bytes(new)
        url = f"{served.url}/other.zip"
    else:
        (tmp_path / "set.zip.part.json").unlink()
    download(url, target, pause_s=0)
    assert target.read_bytes() == new


def test_a_part_that_is_whole_already_is_taken(served, tmp_path):
    target = tmp_path / "set.zip"
    served.cuts = [len(CONTENT) - 1] + [0] * 5
    with pytest.raises(KinemeError):
        download(f"{served.url}/set.zip", target, pause_s=0)
    with (tmp_path / "set.zip.part").open("ab") as file:
        file.write(CONTENT[-1:])  # as where the process was killed before the last step
    download(f"{served.url}/set.zip", target, pause_s=0)
    assert target.read_bytes() == CONTENT


def test_without_a_length_what_comes_is_taken(served, tmp_path):
    served.tells_length = False
    download(f"{served.url}/set.zip", tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_wrong_file_is_told_and_removed(served, tmp_path):
    for wanted, says in (({"size_bytes": 7}, "has 7"), ({"sha256": "0" * 64}, "SHA-256 differs")):
        with pytest.raises(KinemeError, match=says):
            download(f"{served.url}/set.zip", tmp_path / "set.zip", **wanted)
        assert list(tmp_path.iterdir()) == [served.folder]


def test_what_servers_answer_is_told(served, tmp_path):
    with pytest.raises(KinemeError, match="answers 404"):
        download(f"{served.url}/missing.zip", tmp_path / "missing.zip")
    assert len(served.asked) == 1
    served.codes = [503, 503]
    download(f"{served.url}/set.zip", tmp_path / "set.zip", pause_s=0)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT
    with pytest.raises(KinemeError, match="cannot be reached"):
        download("http://127.0.0.1:9/set.zip", tmp_path / "none.zip", pause_s=0)


# Archives

FILES = {"a/one.avi": b"1" * 100_000, "a/b/two.avi": CONTENT[:70_000], "läßt.txt": b""}


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("name", "write"), [("a.zip", write_zip), ("a.rar", write_rar5), ("b.rar", write_rar4), ("a.tar.gz", write_tar)]
)
def test_every_kind_gives_the_same_members(tmp_path, name, write):
    files = FILES if write is not write_rar4 else {key.replace("äß", "ass"): value for key, value in FILES.items()}
    with open_archive(write(tmp_path / name, files)) as archive:
        for member in archive.members:
            archive.extract(member, tmp_path / "out")
            assert (tmp_path / "out").read_bytes() == archive.read(member) == files[member.name]
        assert sorted(member.name for member in archive.members) == sorted(files)


@pytest.mark.parametrize(
    ("name", "write", "how"),
    [
        *((name, write, "cut") for name, write in [("a.zip", write_zip), ("a.rar", write_rar5), ("b.rar", write_rar4)]),
        *((name, write, "flipped") for name, write in [("a.zip", write_zip), ("a.rar", write_rar5)]),
        ("b.rar", write_rar4, "flipped"),
        ("a.tar.gz", write_tar, "cut"),  # a tar archive has no checksums
    ],
)
def test_a_damaged_archive_is_told_in_one_line(tmp_path, name, write, how):
    path = write(tmp_path / name, {"a/one.avi": CONTENT})
    data = bytearray(path.read_bytes())
    if how == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(KinemeError, match=f"{path}: is damaged"), open_archive(path) as archive:
        archive.extract(archive.members[0], tmp_path / "out")


def test_links_and_devices_are_no_members(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("a/one.avi")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("a/one.avi")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    for name in ("a.tar", "a.zip"):
        with open_archive(tmp_path / name) as archive:
            assert archive.members == []


def test_a_bomb_is_left_alone(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"a/{number}.avi", bytes(1000))
    data = (tmp_path / "bomb.zip").read_bytes()
    huge = (3_000_000_000).to_bytes(4, "little")
    (tmp_path / "bomb.zip").write_bytes(data.replace((1000).to_bytes(4, "little"), huge))
    with (
        pytest.raises(KinemeError, match="would unpack to 9 GB"),
        open_archive(tmp_path / "bomb.zip"),
    ):
        pass


def test_what_is_no_archive_and_a_locked_one(tmp_path):
    (tmp_path / "a.zip").write_text("<html>please log in</html>")
    with pytest.raises(KinemeError, match="is not an archive"), open_archive(tmp_path / "a.zip"):
        pass
    path = write_zip(tmp_path / "locked.zip", {"a.avi": b"x"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(KinemeError, match="locked with a password"), open_archive(path):
        pass
