"""Files that are read in every epoch are kept in memory, up to a limit."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kineme.training.recent import RecentFiles

SHAPE = (3, 1000, 250)  # 3 MB


@pytest.fixture
def files(tmp_path):
    made = [tmp_path / f"{number}.strip" for number in range(20)]  # 60 MB, and 32 are kept
    for number, file in enumerate(made):
        (np.arange(3, dtype=np.float32)[:, None, None] + np.full(SHAPE, number, np.float32)).tofile(file)
    return made


def test_the_newest_are_kept_and_the_oldest_are_not(files):
    recent = RecentFiles()
    for number, file in enumerate(files):
        read_NXY = recent.read(file, np.float32, SHAPE, [2, 0, 2])
        np.testing.assert_array_equal(read_NXY[:, 0, 0], [number + 2, number, number + 2])
        file.unlink()
    np.testing.assert_array_equal(recent.read(files[-1], np.float32, SHAPE, [1])[:, 5, 5], [20])
    with pytest.raises(FileNotFoundError):
        recent.read(files[0], np.float32, SHAPE, [1])


def test_a_result_may_be_changed(files):
    recent = RecentFiles()
    recent.read(files[3], np.float32, SHAPE, [0, 1])[:] = -1
    np.testing.assert_array_equal(recent.read(files[3], np.float32, SHAPE, [0, 1])[:, 0, 0], [3, 4])


def test_a_file_that_is_too_large_or_too_small(files, tmp_path):
    recent, large = RecentFiles(), tmp_path / "large.strip"
    np.zeros(2_000_000, np.float32).tofile(large)
    assert recent.read(large, np.float32, (2000, 1000), [7]).shape == (1, 1000)
    large.unlink()
    with pytest.raises(FileNotFoundError):  # it was not kept
        recent.read(large, np.float32, (2000, 1000), [7])
    with pytest.raises(ValueError, match=r"larger|size"):
        recent.read(files[0], np.float32, (4, *SHAPE[1:]), [3])


def test_many_threads_read_the_same(files):
    recent = RecentFiles()

    def read(number):
        return recent.read(files[number % 20], np.float32, SHAPE, [0])[0, 0, 0] == number % 20

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(400)))
