"""A window on the desktop that shows pictures, by the Tk of the standard library."""

from __future__ import annotations

import gc
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError

_SHARE = 0.85  # of the screen that it takes at most


class PreviewWindow:
    """A window; use it in a ``with`` statement, in the main thread.

    Args:
        title: of the window.

    Attributes:
        is_open: False once the user has closed it.

    Raises:
        KinemeError: there is no screen, or this Python has no Tk.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter as tk
        except ImportError as error:
            raise KinemeError("--show: this Python has no Tk; on Debian and Ubuntu: apt install python3-tk") from error
        try:
            self._root = tk.Tk()
        except tk.TclError as error:
            raise KinemeError(
                "--show: there is no screen here; leave it out, or --save video and look later"
            ) from error
        self.is_open = True
        self._root.title(title)
        self._root.configure(background="black")
        self._root.protocol("WM_DELETE_WINDOW", self._closed)
        self._root.bind("<Escape>", lambda event: self._closed())
        self._root.bind("q", lambda event: self._closed())
        self._picture = tk.PhotoImage(master=self._root)
        tk.Label(self._root, image=self._picture, borderwidth=0).pack()
        self._room = _SHARE * self._root.winfo_screenheight(), _SHARE * self._root.winfo_screenwidth()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._root.destroy()
        del self._root, self._picture
        gc.collect()  # what is left of Tk may only be freed in this thread: elsewhere it ends the process

    def show(self, frame_HWC: NDArray[np.uint8] | None) -> None:
        """Show a frame, RGB, made smaller where the screen is; None keeps the last and lets the window breathe."""
        if frame_HWC is not None and self.is_open:
            height, width = frame_HWC.shape[:2]
            scale = min(1.0, self._room[0] / height, self._room[1] / width)
            if scale < 1:
                size = max(1, int(width * scale)), max(1, int(height * scale))
                frame_HWC = np.asarray(cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA), np.uint8)
                height, width = frame_HWC.shape[:2]
            self._picture.configure(data=b"P6 %d %d 255 " % (width, height) + frame_HWC.tobytes(), format="PPM")
        self._root.update()

    def _closed(self) -> None:
        self.is_open = False
